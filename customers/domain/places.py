"""What is kept of the address that a device was seen at, and of what it calls itself."""

import ipaddress
import re

IPV4_KEPT_BITS = 24
IPV6_KEPT_BITS = 48
MOST_CHARACTERS = 300
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")
# In the order in which they are looked for: browsers name each other.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


def network(address: str, /) -> str:
    """Return the network of an address, such as `203.0.113.0/24`, or "" for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.strip().partition("%")[0])
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    kept = mapped or parsed
    bits = IPV4_KEPT_BITS if isinstance(kept, ipaddress.IPv4Address) else IPV6_KEPT_BITS
    return str(ipaddress.ip_network(f"{kept}/{bits}", strict=False))


def user_agent(text: str, /) -> str:
    """Return what a device calls itself, in printable ASCII and of a length that is kept."""
    return _NOT_PRINTABLE.sub("", text)[:MOST_CHARACTERS]


def device(text: str, /) -> str:
    """Return a name that people know for a user agent, or how it begins where nothing of it is known."""
    browser = next((name for mark, name in _BROWSERS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    return ", ".join(filter(None, (browser, system))) or text.partition(" ")[0][:60]
