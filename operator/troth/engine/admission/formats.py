"""The formats of strings that the API server enforces, checked as its own code does.

An unknown format is ignored, there and here. Each check follows the API server's, also where that is laxer than the
RFC: for example, a duration may be "3 weeks". The checks of e-mail addresses and URIs follow Go's parsers as far as is
likely to matter for what people write.

Upstream: `pkg/apiserver/validation/formats.go` of k8s.io/apiextensions-apiserver v0.36.3 (which formats there are), and
`pkg/validation/strfmt` of k8s.io/kube-openapi as Kubernetes v1.36.3 uses it (how they are read).
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final

import re2

Check = Callable[[str], bool]

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME: Final = re.compile(r"(\d{2}):(\d{2}):(\d{2})(?:.[0-9]+)?(?:z|[+-]\d{2}:\d{2})", re.ASCII)
_GO_DURATION: Final = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_SCALA_DURATION: Final = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
_UNITS: Final = (
    ("ns", "nano"),
    ("us", "µs", "micro"),
    ("ms", "milli"),
    ("s", "sec"),
    ("m", "min"),
    ("h", "hr", "hour"),
    ("d", "day"),
    ("w", "wk", "week"),
)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BAD_IN_HOST: Final = re.compile(r"[\s\"<>\\^`{|}]")
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_ADDRESS: Final = (
    rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\\r\n]|\\.)*\")@(?:{_ATOM}(?:\.{_ATOM})*|\[[0-9A-Fa-f:.]+\])"
)
_EMAIL: Final = rf"\s*(?:{_ADDRESS}|(?:(?:{_ATOM}|\"(?:[^\"\\\r\n]|\\.)*\")\s*)*<{_ADDRESS}>)\s*"
_HOSTNAME: Final = (
    r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}]"
    r"(([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$"
)
_CARD: Final = (
    r"4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11}"
)
_CHANNEL: Final = r"\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"


def _whole(pattern: str, flags: int = 0) -> Check:
    # Compiled when it is first used: compiling all of them would take a quarter of the time of a short command.
    return lambda text: re.fullmatch(pattern, text, re.ASCII | flags) is not None


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    try:
        datetime.date(year or 2000, month, day)  # the year 0 exists for Go, and is a leap year
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    parts = text.lower().split("t")
    if len(parts) < 2 or not _is_date(parts[0]):
        return False
    time = _TIME.fullmatch(parts[1])
    return time is not None and time[1] <= "23" and time[2] <= "59" and time[3] <= "59"


def _is_duration(text: str) -> bool:
    if _GO_DURATION.fullmatch(text):
        return True
    return any(duration_unit(match[2]) for match in _SCALA_DURATION.finditer(text))


def duration_unit(word: str) -> str:
    """Returns the unit of time for a word, such as ``m`` for ``Minutes``; "" when it is not a unit."""
    unit = word.lower().replace("μ", "µ")
    for variants in _UNITS:
        if unit in variants or unit.startswith(variants[-1]):
            return variants[0]
    return ""


def _address(text: str, *, sloppy: bool = False) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if "%" in text or "/" in text:
        return None
    try:
        return ipaddress.ip_address(_without_zeros(text) if sloppy else text)
    except ValueError:
        return None


def _without_zeros(text: str) -> str:
    head, separator, tail = text.rpartition(":")
    if re.fullmatch(r"\d+(?:\.\d+){3}", tail, re.ASCII):
        tail = ".".join(part.lstrip("0") or "0" for part in tail.split("."))
    return head + separator + tail


def _is_cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    found = _address(address, sloppy=True)
    return (
        bool(slash)
        and found is not None
        and re.fullmatch(r"\d{1,3}", bits, re.ASCII) is not None
        and (int(bits) <= found.max_prefixlen)
    )


def _is_mac(text: str) -> bool:
    for separator in (":", "-"):
        if separator in text:
            groups = text.split(separator)
            return len(groups) in (6, 8, 20) and all(re.fullmatch("[0-9A-Fa-f]{2}", group) for group in groups)
    groups = text.split(".")
    return len(groups) in (3, 4, 10) and all(re.fullmatch("[0-9A-Fa-f]{4}", group) for group in groups)


def _is_uri(text: str) -> bool:
    if not text or any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        return False
    scheme = _SCHEME.match(text)
    if scheme is None:
        return text.startswith("/") and not _BAD_ESCAPE.search(text.partition("?")[0])
    rest = text[scheme.end() :]
    if not rest.startswith("//"):
        return not rest.startswith("/") or not _BAD_ESCAPE.search(rest.partition("?")[0])
    authority, slash, path = rest[2:].partition("?")[0].partition("/")
    host = authority.rpartition("@")[2]
    if _BAD_IN_HOST.search(host) or _BAD_ESCAPE.search(slash + path):
        return False
    if host.startswith("["):
        return re.fullmatch(r"\[[^\]]*\](?::\d*)?", host, re.ASCII) is not None
    return ":" not in host or re.fullmatch(r"[^:]*:\d*", host, re.ASCII) is not None


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{9}[0-9X]", digits):
        return False
    values = [10 if digit == "X" else int(digit) for digit in digits]
    return sum(place * value for place, value in enumerate(values, 1)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    total = sum((3 if place % 2 else 1) * int(digit) for place, digit in enumerate(digits[:12]))
    return int(digits[12]) == (10 - total % 10) % 10


def _is_credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not re.fullmatch(_CARD, digits, re.ASCII):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_hostname(text: str) -> bool:
    size = len(text.encode())
    parts = text.split(".")
    found = re2.search(_HOSTNAME, text)
    return found is not None and size <= 255 and all(len(part.encode()) <= 63 for part in parts)


def _is_ipv4(text: str) -> bool:
    return "." in text and _address(text, sloppy=True) is not None


def _is_ipv6(text: str) -> bool:
    return ":" in text and _address(text) is not None


_UUID: Final = r"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{}[0-9a-f]{{3}}-?{}[0-9a-f]{{3}}-?[0-9a-f]{{12}}"
_HEX: Final = "[0-9a-f]"

# The keys are names without dashes, as in the API server.
FORMATS: Final[Mapping[str, Check]] = {
    "bsonobjectid": _whole("[0-9a-fA-F]{24}"),
    "uri": _is_uri,
    "email": lambda text: re.fullmatch(_EMAIL, text) is not None,
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "cidr": _is_cidr,
    "mac": _is_mac,
    "uuid": _whole(_UUID.format(_HEX, _HEX), re.IGNORECASE),
    "uuid3": _whole(_UUID.format("3", _HEX), re.IGNORECASE),
    "uuid4": _whole(_UUID.format("4", "[89ab]"), re.IGNORECASE),
    "uuid5": _whole(_UUID.format("5", "[89ab]"), re.IGNORECASE),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_credit_card,
    "ssn": lambda text: len(text) == 11 and re.fullmatch(r"\d{3}[- ]?\d{2}[- ]?\d{4}", text, re.ASCII) is not None,
    "hexcolor": _whole("#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _whole(rf"rgb\({_CHANNEL},{_CHANNEL},{_CHANNEL}\)"),
    "byte": _whole("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "password": lambda _: True,
    "date": _is_date,
    "duration": _is_duration,
    "datetime": _is_date_time,
    "k8sshortname": lambda text: len(text) <= 63 and re.fullmatch(_LABEL, text) is not None,
    "k8slongname": lambda text: len(text) <= 253 and re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", text) is not None,
}


def format_check(name: str) -> Check | None:
    """Returns the check of a string's format; None when the API server ignores that format."""
    return FORMATS.get(name.replace("-", ""))
