"""The currencies that a book can have: the active codes of ISO 4217 that people hold money in.

Metals, funds of account without a minor unit and the codes for tests are no currency here. The
number is how many decimals a payment has; prices and charges are finer in every currency.
"""

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

_BY_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD"
        " CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP"
        " GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK"
        " LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO"
        " NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS"
        " SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST"
        " XAD XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS = {code: n for n, codes in _BY_DECIMALS.items() for code in codes.split()}


def checked_currency(code: str) -> str:
    """The code itself. Raises Problem INVALID_VALUE for what is no active currency code."""
    if code in DECIMALS:
        return code
    raise Problem(
        Code.INVALID_VALUE,
        f"{code!r} is not the code of a currency in use, such as USD, EUR or JPY.",
        param="currency",
    )
