"""What private things look like, whoever's they are: patterns, each with what it becomes.

Every pattern is linear in the text: no nested repetition, bounded or possessive gaps, and where a match may begin
is told by a keyword or by what stands before it. What they produce they do not match again.
"""

import re
from ipaddress import IPv6Address, ip_address

MASK = "<masked>"

_SECRET_WORD = (
    r"(?:(?<!per[_ -])token(?!_id|[a-z])|secret|passw(?:or)?d|passphrase|(?<=[_-])pass(?![a-z])|credential|cookie"
    r"|(?:api|access|private|signing|ssh)[_-]?key|(?<![a-z])auth(?![a-z])|(?:account|subscription|tenant)[_-]?id)"
)
_SECRET_NAME = re.compile(rf"(?i){_SECRET_WORD}|private|(?<![a-z])key(?![a-z])")

_PATTERNS = (
    # a private key in full, also one that is cut off
    (r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]{0,40}-----|\Z)", MASK),
    # headers: the rest of the line
    (rf"(?im)((?:authorization|cookie)[\"']?[ \t]*+[:=][ \t]*+)(?!{MASK}$)[^\n]+", rf"\1{MASK}"),
    (r"(?i)\b(bearer[ \t]++)[\w+/=.~-]{8,}", rf"\1{MASK}"),
    # name=value, name: value, "name": "value", --name value
    (
        rf"(?i)({_SECRET_WORD}[\w-]{{0,40}}+[\"']?[ \t]*+[=:][ \t]*+)(?!{MASK})(?:\"[^\"\n]*+\"|'[^'\n]*+'|\S+)",
        rf"\1{MASK}",
    ),
    (rf"(?i)((?<!\S)--[\w-]{{0,40}}?{_SECRET_WORD}[\w-]{{0,40}}+[ \t]++)(?!{MASK}|-)\S+", rf"\1{MASK}"),
    # user:password@ in an address of the web, and places that name an organisation
    (r"(?<=://)[^\s/@:<>]++(?::[^\s/@]*+)?@", f"{MASK}@"),
    (r"\b(?:s3|gs|abfss?|wasbs?|hdfs)://\S+", MASK),
    # tokens with a shape of their own: AWS, Hugging Face, GitHub, GitLab, OpenAI and kin, Slack, Google, JWT
    (r"(?<![^\W_])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![^\W_])", MASK),
    (r"(?<![^\W_])(?:hf|gh[opsur])_[A-Za-z0-9]{16,}", MASK),
    (r"(?<![^\W_])(?:github_pat_|glpat-|pypi-)[\w-]{16,}", MASK),
    (r"(?<![\w-])sk-(?=[a-zA-Z_-]*+\d)[\w-]{16,}", MASK),
    (r"(?<![^\W_])xox[a-z]-[\w-]{8,}", MASK),
    (r"(?<![^\W_])AIza[\w-]{35}", MASK),
    (r"(?<![^\W_])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?", MASK),
    # cloud accounts and machines
    (r"\barn:aws[\w-]*+:\S+", MASK),
    (r"(?i)(\baccount\D{0,12}?)(?:\d{12}|\d{4}-\d{4}-\d{4})(?!\d)", rf"\1{MASK}"),
    (r"(?<!\w)\d{12}(?=\.dkr\.)", MASK),
    (r"(?<![^\W_])(?:i|vol|eni|subnet|vpc|sg)-(?:[0-9a-f]{17}|[0-9a-f]{8})(?![^\W_])", MASK),
    (r"(?<![\w-])ip(?:-\d{1,3}){4}(?:\.[a-z0-9-]++)*", "<host>"),
    # identifiers of devices
    (rf"(?i)(\bserial(?:[ _-]?(?:number|no))?[ \t]*+[:=#][ \t]*+)(?!{MASK})\S+", rf"\1{MASK}"),
    (r"(?<![^\W_])(?:GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{1,12}){0,4}(?![^\W_])", "<uuid>"),
    (r"(?i)(?<![^\W_])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![^\W_])", "<uuid>"),
    (r"(?i)(?<![\w:-])[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4,18}(?![\w:-])", "<mac>"),
    # people
    (r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+", "<email>"),
    (r"/(?:home|Users)/[^/\s\"':,;)\]}]+", "~"),
)
_SHAPES = tuple((re.compile(pattern), shown) for pattern, shown in _PATTERNS)

_ADDRESS = re.compile(
    r"(?i)(?<![\w.])(?<!==)(?<!version )(?<!version: )\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w)"
    r"|(?<![\w.:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:]|\.\w)"
)


def looks_secret(name: str) -> bool:
    """Whether what bears this name (a variable, a key) is likely a secret: ``HF_TOKEN`` is, ``MAX_TOKENS`` is not."""
    return _SECRET_NAME.search(name) is not None


def without_private_shapes(text: str) -> str:
    """The text with everything that looks private replaced; linear in its length."""
    for pattern, shown in _SHAPES:
        text = pattern.sub(shown, text)
    return _ADDRESS.sub(_without_address, text)


def _without_address(found: "re.Match[str]") -> str:
    """An IP address is masked, but not this machine's own loopback, a clock time, a slice or a version.

    Four numbers are no address if one has a leading zero or is above 255, as in the driver version 580.65.06.01.
    """
    try:
        address = ip_address(found[0])
    except ValueError:
        return found[0]
    slice_like = isinstance(address, IPv6Address) and found[0].count(":") < 4 and len(found[0].split(":")[0]) < 3
    return found[0] if address.is_loopback or address.is_unspecified or slice_like else "<address>"
