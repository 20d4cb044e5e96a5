"""Which URLs may be receivers, and which addresses may be connected to."""

import socket

import pytest

from shared.webhooks.egress import BlockedAddress, BlockedUrl, Guard, check_url

HOSTILE = [
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://192.0.0.1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://[::]/",
    "https://[::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[ff02::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[100::1]/",
    "https://[5f00::1]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://ⓛocalhost/",
    "https://hooks.localhost/",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com:22/",
    "https://example.com:8443/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://exa mple.com/",
    "https://example.com/\r\nx: y",
    "https://example.com%2f@127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https:///path",
    "https://",
    "//example.com/",
    "example.com",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "https://" + "a" * 300 + ".example/",
    "https://example.com/" + "a" * 2048,
    "",
]
HARMLESS = [
    "https://example.com/hook",
    "https://example.com:443/hook?tenant=1",
    "https://example.com:80/",
    "https://EXAMPLE.com/hook#part",
    "https://bücher.example/",
    "https://93.184.216.34/",
    "https://[2606:2800:220:1:248:1893:25c8:1946]/",
    "https://0x7f.example/",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(BlockedUrl, match="Nothing can be sent to this URL"):
        check_url(url, allow_private=False)


@pytest.mark.parametrize("url", HARMLESS)
def test_a_harmless_url_is_taken(url: str) -> None:
    check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000/hook", "http://localhost:80/", "https://10.0.0.1/", "http://worker/"],
)
def test_where_private_addresses_are_allowed_so_are_plain_http_and_any_port(url: str) -> None:
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://user@127.0.0.1/", "http://0177.0.0.1/", "http:///", "x"]
)
def test_nonsense_is_refused_even_there(url: str) -> None:
    with pytest.raises(BlockedUrl):
        check_url(url, allow_private=True)


def test_a_refusal_of_http_says_what_is_wanted() -> None:
    with pytest.raises(BlockedUrl, match="https://"):
        check_url("http://example.com/", allow_private=False)


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("127.0.0.1", 443),
        ("::1", 443),
        ("169.254.169.254", 80),
        ("::ffff:10.0.0.1", 443),
        ("64:ff9b::7f00:1", 443),
        ("fe80::1%lo", 443),
        ("93.184.216.34", 22),
        ("93.184.216.34", 8080),
    ],
)
def test_no_socket_is_made_for_a_blocked_address(address: str, port: int) -> None:
    made = []

    def make_socket(**kinds: object) -> socket.socket:
        made.append(kinds)
        return socket.socket()

    guard = Guard(allow_private=False, make_socket=make_socket)
    with pytest.raises(BlockedAddress) as caught:
        guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)))

    assert made == []
    # Strangers are not told what our names stand for.
    assert address not in str(caught.value)


def test_a_socket_is_made_for_a_public_one() -> None:
    guard = Guard(allow_private=False)
    guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("93.184.216.34", 443))).close()
