"""The first account of a booth, made by ``up``: what is missing is added, what is there is kept."""

from dataclasses import dataclass

from tokenbooth.access.keys import service as access_keys
from tokenbooth.access.orgs import service as orgs
from tokenbooth.catalog.models import service as catalog
from tokenbooth.catalog.models.service import DeploymentAsk, Model, ModelAsk
from tokenbooth.control.accounts import OrganizationAsk, add_credit, create_organization
from tokenbooth.control.keys import Mint, NewKey, create_key
from tokenbooth.control.prices import current_price
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.prices import service as book
from tokenbooth.money.prices.service import PriceAsk

FIRST_ORG = "demo"
FIRST_CREDIT_REF = "first-credit"
FIRST_KEY = "up"


@dataclass(frozen=True, slots=True)
class FirstOffer:
    """What a new booth starts with."""

    model: ModelAsk
    price: PriceAsk
    credit_nano: int


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """``secret`` is a key that works now; ``made`` says in words what had to be added."""

    org_id: str
    secret: str
    made: tuple[str, ...]


def open_first_account(
    op: Op, tx: Tx, offer: FirstOffer, kept_secret: str | None, mint: Mint
) -> FirstAccount:
    """Idempotent. ``kept_secret`` is the key that an earlier run made; a dead one is replaced."""
    made: list[str] = []
    if _offer_model(op, tx, offer.model, mint):
        made.append(f"model {offer.model.name}")
    if current_price(op, tx, offer.model.name) is None:
        book.publish(op, tx, offer.price, mint.ids)
        made.append("its price")
    org_id = _org_id(op, tx)
    if org_id is None:
        org_id = create_organization(op, tx, OrganizationAsk(FIRST_ORG), mint.ids).id
        add_credit(op, tx, org_id, offer.credit_nano, FIRST_CREDIT_REF)
        made.append(f"organization {FIRST_ORG} with credit")
    if kept_secret is not None and _works(op, tx, kept_secret, mint.pepper):
        return FirstAccount(org_id, kept_secret, tuple(made))
    minted = create_key(op, tx, NewKey(org=org_id, name=FIRST_KEY), mint)
    return FirstAccount(org_id, minted.secret, (*made, "a key"))


def _offer_model(op: Op, tx: Tx, ask: ModelAsk, mint: Mint) -> bool:
    """Add the model, or add it again when it points at weights or an engine that moved."""
    try:
        present = catalog.model_by(op, tx, ask.name)
    except Problem as problem:
        if problem.code is not Code.MODEL_NOT_FOUND:
            raise
    else:
        if not _stale(present, ask.deployments[0]):
            return False
        catalog.remove_model(op, tx, ask.name)
    catalog.add_model(op, tx, ask, mint.ids)
    return True


def _stale(present: Model, wanted: DeploymentAsk) -> bool:
    """An operator's own deployment (an upstream, say) is never replaced."""
    first = present.deployments[0]
    if first.gguf_path is None:
        return False
    return (first.engine, first.gguf_path) != (wanted.engine, wanted.gguf_path)


def _org_id(op: Op, tx: Tx) -> str | None:
    try:
        return orgs.org_by(op, tx, FIRST_ORG).id
    except Problem as problem:
        if problem.code is not Code.NAME_NOT_FOUND:
            raise
        return None


def _works(op: Op, tx: Tx, secret: str, pepper: bytes) -> bool:
    try:
        access_keys.authenticate(op, tx, secret, pepper)
    except Problem as problem:
        if problem.kind is not Kind.UNAUTHENTICATED:
            raise
        return False
    return True
