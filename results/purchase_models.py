"""How a machine is bought: the purchase models, and what each means.

    on-demand                 by the hour or second, ended at will
    spot                      spare capacity that the provider may take back at any time
    capacity-block            a span of time, booked and paid for ahead, that is charged whether used or not
    savings-plan-TERM[-PAY]   a promise to spend so much an hour for a term, on machines of one's choice
    reserved-TERM[-PAY]       a promise to pay for a machine for a term; elsewhere a "committed use" price
    owned                     one's own machine, by whatever hourly rate its owner reckons
    user                      a price from the command line; never in a book or file

``TERM`` is ``1yr`` or ``3yr``. ``PAY`` is ``no-upfront``, ``partial-upfront`` or ``all-upfront``; without it, the
source does not say how the term is paid. An upfront payment is spread over the hours of the term.
"""

PurchaseModel = str
"""One of ``PURCHASE_MODELS``."""

PROMISES = ("savings-plan", "reserved")
TERMS = ("1yr", "3yr")
PAYMENTS = ("", "-no-upfront", "-partial-upfront", "-all-upfront")

PURCHASE_MODELS: tuple[PurchaseModel, ...] = (
    "on-demand",
    "spot",
    "capacity-block",
    *(f"{promise}-{term}{payment}" for promise in PROMISES for term in TERMS for payment in PAYMENTS),
    "owned",
    "user",
)

SHORT_LIST = "on-demand, spot, capacity-block, owned, or savings-plan-TERM or reserved-TERM (docs/prices.md)"
"""The models in the words of a hint."""
