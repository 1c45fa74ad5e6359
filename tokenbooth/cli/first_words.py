"""What ``up`` says once the booth answers."""

from tokenbooth.cli.first_call import FirstCall
from tokenbooth.core.money import format_nano
from tokenbooth.protocols.receipts import sum_json


def own_name(command: str, on_path: str | None) -> str:
    """How to type this program: by its name where the shell finds it, else by its path."""
    return "tokenbooth" if on_path is not None else command


def call_text(base_url: str, key_secret: str, model: str, python: str) -> tuple[str, ...]:
    """A call to copy, for the shell and for Python. ``base_url`` is without ``/v1``; ``python``
    has the ``openai`` package."""
    body = (
        f'{{"model": "{model}", "stream": true,'
        ' "messages": [{"role": "user", "content": "Hello!"}]}'
    )
    return (
        f"base URL   {base_url}/v1",
        f"API key    {key_secret}",
        f"model      {model}",
        "",
        f"curl -N {base_url}/v1/chat/completions \\",
        f"  -H 'authorization: Bearer {key_secret}' -H 'content-type: application/json' \\",
        f"  -d '{body}'",
        "",
        f"# Python with the openai package, for example {python}",
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{base_url}/v1", api_key="{key_secret}")',
        'messages = [{"role": "user", "content": "Hello!"}]',
        f'answer = client.chat.completions.create(model="{model}", messages=messages)',
        "print(answer.choices[0].message.content)",
    )


def receipt_text(call: FirstCall) -> tuple[str, ...]:
    """Usage, exact cost and the balance around it."""
    came, went = call.usage.get("prompt_tokens"), call.usage.get("completion_tokens")
    before, after = format_nano(call.before_nano), format_nano(call.after_nano)
    return (
        f"usage      {came} input + {went} output tokens",
        f"cost       {format_nano(call.cost_nano)} USD",
        f"balance    {before} USD before, {after} USD after",
        f"difference {format_nano(call.before_nano - call.after_nano)} USD, exactly the cost",
        f"request    {call.request_id}",
        f"time       first text after {call.first_output_ms} ms, all after {call.duration_ms} ms",
    )


def receipt_json(call: FirstCall) -> dict[str, object]:
    return {
        "request_id": call.request_id,
        "answer": call.answer,
        "usage": call.usage,
        "cost": sum_json(call.cost_nano, "USD"),
        "balance_before": sum_json(call.before_nano, "USD"),
        "balance_after": sum_json(call.after_nano, "USD"),
        "exact": call.before_nano - call.after_nano == call.cost_nano,
        "first_output_ms": call.first_output_ms,
        "duration_ms": call.duration_ms,
    }
