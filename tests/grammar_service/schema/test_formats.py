"""Formats: the cases of the official test suite that matter most, and other people's parsers as oracles."""

import ipaddress
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime

import idna
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from grammar_service.automata.dfa import Dfa
from grammar_service.schema.formats import KNOWN_FORMATS, format_language

LABEL = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"  # 63 characters

without_deadline = settings(deadline=None)  # the first example builds the automata

VALID = {
    "date": [
        *("1963-06-19", "2020-02-29", "0400-02-29", "2021-02-28", "2020-12-31", "0001-01-01"),
        "1582-10-10",
    ],
    "time": [
        *("08:30:06Z", "08:30:06z", "23:20:50.52Z", "08:30:06+00:20", "12:34:56-00:00", "23:59:60Z"),
        *("23:59:60+00:00", "01:29:60+01:30", "23:29:60+23:30", "15:59:60-08:00", "00:29:60.5-23:30"),
    ],
    "date-time": [
        *("1963-06-19T08:30:06.283185Z", "1937-01-01T12:00:27.87+00:20", "1963-06-19t08:30:06z"),
        *("1998-12-31T23:59:60Z", "1998-12-31T15:59:60.123-08:00", "2015-06-30T23:59:60+00:00"),
    ],
    "duration": [
        *("P4DT12H30M5S", "P4Y", "PT0S", "P1M", "PT36H", "P2W", "P1Y2M", "PT1H2M", "P01D"),
        "P" + "9" * 70 + "D",
    ],
    "email": [
        *("joe.bloggs@example.com", "te~st@example.com", '"joe bloggs"@example.com'),
        '"joe@bloggs"@example.com',
        *("joe@[127.0.0.1]", "joe@[IPv6:::1]", "a@b", f"{'a' * 64}@{LABEL}.{LABEL}"),
        r'"a\"b"@xn--c.example',
    ],
    "idn-email": [
        *("실례@실례.테스트", "joe.bloggs@example.com", '"δοκιμή"@example.com', "user@cafe\u0301.com"),
        *("\x85@example.com", f"{'a' * 62}é@Example.COM", "\U0001d54f@example.com", "x@[IPv6:1::2]"),
    ],
    "hostname": [
        *("www.example.com", "hostname", "1host", "host-name", "a--b.com", f"{LABEL}.com"),
        "a.b.c.d.e.f.g.h.i.j",
        *(f"{LABEL}.{LABEL}.{LABEL}", "xn.xn-a.yxn--a", "my-svc.my-namespace.svc.cluster.local"),
    ],
    "idn-hostname": [
        *("실례.테스트", "ßς་〇", "۽۾", "l·l", "α͵β", "א׳ב", "א״ב", "・ぁ", "・ァ", "・丈", "丈・丈"),
        *("ب٠ب", "۰0"),
        *("क्\u200dष", "क्\u200cष", "بي\u200cبي", "a。b", "a．b", "a｡b", "www.example.com", LABEL, "A.b"),
        *("www.עברית.il", "привет.рф", "bücher.example", "παράδειγμα"),
    ],
    "ipv4": ["192.168.0.1", "0.0.0.0", "255.255.255.255"],
    "ipv6": [
        *("::1", "::", "d6::", "1:d6::42", "1::d6:192.168.0.1", "1:2::192.168.0.1", "1:2:3:4:5:6:7:8"),
        "1::3:4:5:6:7:8",
    ],
    "uuid": ["2EB8AA08-AA98-11EA-B4AA-73B441D16380", "00000000-0000-0000-0000-000000000000"],
    "uri": [
        *("http://foo.bar/?baz=qux#quux", "http://-.~_!$&'()*+,;=:%40:80%2f::::::@example.com"),
        *("urn:a:b", "a:"),
        *("ldap://[2001:db8::7]/c=GB?objectClass?one", "mailto:John.Doe@example.com"),
        "tel:+1-816-555-1212",
        *("http://999.999.999.999/", "file:///etc/hosts", "http://[V1.fe]", "http://:80"),
    ],
    "uri-reference": [
        *("", "//foo.bar/?b", "/abc", "abc", "#fragment", "?query=1", "//", "./this:that"),
        "http://a/b",
    ],
    "iri": ["http://ƒøø.ßår/?∂éœ=πîx#πîüx", "http://ƒøø.ßår/?q=\U000f0000", "urn:example:é"],
    "iri-reference": ["//ƒøø.ßår/?∂éœ=πîx#πîüx", "âππ", "#ƒrägmênt"],
    "uri-template": [
        *("http://example.com/dictionary/{term:1}/{term}", "", "{+var}", "{#v}", "{?x,y*}", "{a.b}"),
        "{%41}",
        *("{v:1000}", "a\U0001f600b", "a'b"),
    ],
    "json-pointer": [
        *("", "/", "/foo//bar/", "/foo/bar~0/baz~1/%a", '/k"l', "/foo\x00bar\n\tbaz", "/~1~0~0~1~1"),
    ],
    "relative-json-pointer": ["1", "0/foo/bar", "2/0/baz/1/zip", "0#", "120/foo", "0//"],
    "regex": [
        *(r"([abc])+\s+$", "(?<=a+)b", "[]", "[^]", r"\cA", "", "^(a|(b{2,3})?)*?$"),
        *(r"[a-zA-Z0-9_\-.]{1,20}", "[-+]"),
        *(r"^(?=.*[A-Z])\S{8,}$", r"\p{L}+[\w-]", r"\u00e9\x41\/", "a||b"),
    ],
}  # fmt: skip

INVALID = {
    "date": [
        *("", "2020-02-30", "2021-02-29", "2100-02-29", "0100-02-29", "2020-04-31", "1998-13-01"),
        "2024-00-15",
        *("2024-01-00", "1998-1-20", "20230328", "2023-W01", "+2020-01-01", "1963-06-1৪", "2020-01-01\n"),
    ],
    "time": [
        *("24:00:00Z", "00:60:00Z", "00:00:61Z", "12:00:00", "08:30:06-8:000", "01:02:03+24:00"),
        "22:59:60Z",
        *("23:58:60Z", "23:59:60+01:00", "23:59:60-00:30", "01:02:03Z+00:30", "23:59:60+00:30"),
        "1২:00:00Z",
    ],
    "date-time": [
        *("1998-12-31T23:59:61Z", "1998-12-31T22:59:60Z", "1998-12-30T23:59:60Z"),
        "1990-02-31T15:59:59-08:00",
        *("1963-06-19 08:30:06Z", "1985-04-12T23:20:50+01", "1985-04-12T23:20:50Z\n", "2020-01-01"),
        "1998-12-31T15:59:60-09:00",
    ],
    "duration": [
        *("P", "PT", "P1YT", "PT1D", "P2D1Y", "P1D2H", "P1Y2W", "P1Y2D", "PT1H2S", "P1", "-P1D"),
        *("PT0.5S", "P2S"),
    ],
    "email": [
        *("2962", ".test@example.com", "test.@example.com", "te..st@example.com", "a@[127.0.0.300]"),
        "@example.com",
        *("joe@", "joe bloggs@example.com", "a@b, c@d", "joe.bloggs@invalid=domain.com"),
        "a@[IPv6:1:2:3:4:5:6:7::]",
        *(f"{'a' * 65}@example.com", "a@-b.com", "a@b.com.", "é@example.com", f"a@{LABEL}x.com", "a@[::1]"),
    ],
    "idn-email": ["2962", "user＠example.com", f"{'a' * 63}é@example.com", "a@שלוםabc", "a b@c"],
    "hostname": [
        *("", ".", ".example", "example.", "-hostname", "hostname-", "host_name", f"{LABEL}x.com"),
        "example．com",
        *(f"{LABEL}.{LABEL}.{LABEL}.{LABEL}", "xn--X", "XN--aa---o47jg78q", "a.xn--x", "example.com\n"),
        "\u212aelvin",
    ],
    "idn-hostname": [
        *("실〮례.테스트", "〮실례", f"{LABEL}x", "-> $1.00 <--", "xn--X", "-hello", "hello-"),
        *("ःhello", "\u0300hello"),
        *("ـߺ", "a·l", "·l", "l·a", "l·", "α͵S", "α͵", "A׳ב", "׳ב", "A״ב", "def・abc", "・", "ب٠۰"),
        "क\u200dष",
        *("\u200dष", "क्\u200cषx\u200cy", "0a.א", "0ا", "aא", "א0٠", "ü" * 60, "a..b", "", "。"),
        *("example。", "Àb", "Xé"),
        *("cafe\u0301", "・.a"),
    ],
    "ipv4": [
        *("", "127.0.0.0.1", "256.256.256.256", "127.0", "0x7f.0.0.1", "01.2.3.4", "1২7.0.0.1"),
        "1.2.3.4/24",
    ],
    "ipv6": [
        *("12345::", "::abcef", "1:1:1:1:1:1:1:1:1", ":2:3:4:5:6:7:8", "1:2:3:4:5:6:7:", "1::d6::42"),
        "1:2:3:4:5:::8",
        *("1::2:192.168.256.1", "1:2:3:4:5:6:7", "fe80::a%eth1", "::ffff:192.168.0.01"),
        *("1:2:3:4:5:6:7:1.2.3.4", ":"),
        *("1:2:3:4:1.2.3", "1:2:3:4:5:6::1.2.3.4", "1:2:3:4:5:6:7:8::", "[::1]"),
    ],
    "uuid": [
        *("2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08aa9811eab4aa73b441d16380"),
        "2eb8aa08-aa98-11ea-b4ga-73b441d16380",
    ],
    "uri": [
        *("//foo.bar/", "/abc", "abc", "http:// shouldfail.com", "bar,baz:foo"),
        *("https://[@example.org/", "http:/[::1]"),
        *("https://example.org/é", "http://example.com/%6G", "http://example.com/%", "http://a:abc/"),
        "1http://a",
        *("http://[::ffff:01.2.3.4]", "http://[v1.]", "http://a/b#c#d", "a://b@c@d"),
    ],
    "uri-reference": [
        *(r"\\WINDOWS\fileshare", r"#frag\ment", "/é", "1:b", "/%zz", "//a:b/c"),
        "//[::ffff:1.2.3.04]/",
    ],
    "iri": [
        *("/abc", "âππ", "http://2001:0db8:85a3:0000:0000:8a2e:0370:7334", "http://ƒøø.ßår/\n"),
        "http://a/\ue000",
    ],
    "iri-reference": [r"\\WINDOWS\filëßåré", r"#ƒräg\mênt"],
    "uri-template": [
        *("{}", "{a,,b}", "{v:0}", "{v:10000}", "foo}bar", "{a..b}", "a b", "{a,}", "{v=d}", "{,+v}"),
        *("{=v}", "{a"),
    ],
    "json-pointer": ["#", "#/", "a", "/foo/bar~", "/~2", "/~~", "0"],
    "relative-json-pointer": ["/foo", "-1/foo", "+1/foo", "01/a", "0##", "", "1#/foo", "0/~2", "0+1/a"],
    "regex": [
        *("^(abc]", r"\a", "(?P<name>x)", "(?i)abc", "(?#c)a", "a**", "{1}", "[b-a]", "[9-0]"),
        *("a{2,1}", "a{10,9}", "("),
        *("]", "(?=a)*", r"\1", "[z-a]", "^*", r"[\d-z]", "\\", "a{20,19}", "(?<n>a)(?<n>b)"),
    ],
}  # fmt: skip


def language(name: str) -> Dfa:
    known = format_language(name)
    assert known is not None
    return known


def cases(strings: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, text) for name, texts in strings.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), cases(VALID))
def test_what_a_format_allows_is_in_its_language(name: str, text: str) -> None:
    assert language(name).accepts(text)


@pytest.mark.parametrize(("name", "text"), cases(INVALID))
def test_what_a_format_forbids_is_not_in_its_language(name: str, text: str) -> None:
    assert not language(name).accepts(text)


def test_every_known_format_has_cases() -> None:
    assert set(KNOWN_FORMATS) == set(VALID) == set(INVALID)


@pytest.mark.parametrize("name", ["color", "int32", "", "Date", "url"])
def test_an_unknown_format_has_no_language(name: str) -> None:
    assert format_language(name) is None


@pytest.mark.parametrize("name", KNOWN_FORMATS)
def test_the_automaton_of_a_format_has_no_state_too_many(name: str) -> None:
    assert len(language(name).table) == len(language(name).minimised().table)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("date-time", "1999-01-01T00:59:60+01:00"),
        ("time", "00:44:60+00:45"),
        ("duration", "p1y"),
        ("hostname", "xn--bcher-kva.example"),
        ("idn-hostname", "xn--bcher-kva.example"),
        ("idn-hostname", "παράδειγμαπαράδειγμα"),
        ("regex", "(?<name>x)"),
        ("regex", "(((a)))"),
        ("relative-json-pointer", "0-1"),
    ],
)
def test_what_is_valid_but_costs_too_many_states_is_refused_as_documented(name: str, text: str) -> None:
    assert not language(name).accepts(text)


def succeeds(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


octets = st.one_of(st.integers(0, 300).map(str), st.text("0123456789.", max_size=4))


@without_deadline
@given(st.one_of(st.lists(octets, min_size=3, max_size=5).map(".".join), st.ip_addresses(v=4).map(str)))
def test_ipv4_agrees_with_python(text: str) -> None:
    assert language("ipv4").accepts(text) is succeeds(ipaddress.IPv4Address, text)


groups = st.one_of(st.text("09afAF", max_size=5), st.just(""), st.ip_addresses(v=4).map(str))


@without_deadline
@given(
    st.one_of(
        st.lists(groups, max_size=10).map(":".join),
        st.tuples(*[st.lists(st.sampled_from(["1", "ab", "1.2.3.4"]), max_size=8).map(":".join)] * 2).map(
            "::".join
        ),
        st.ip_addresses(v=6).map(str),
    )
)
def test_ipv6_agrees_with_python(text: str) -> None:
    assert language("ipv6").accepts(text) is succeeds(ipaddress.IPv6Address, text)


@without_deadline
@given(
    st.one_of(
        st.uuids().map(str), st.from_regex(r"[0-9a-fg]{7,8}(-[0-9A-F]{4}){2,4}-[0-9a-f]{12}", fullmatch=True)
    )
)
def test_uuid_agrees_with_python(text: str) -> None:
    parsed = succeeds(uuid.UUID, text) and str(uuid.UUID(text)) == text.lower()
    assert language("uuid").accepts(text) is parsed


@without_deadline
@given(st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]", fullmatch=True))
@example("2000-02-29")
@example("1900-02-29")
def test_date_agrees_with_python(text: str) -> None:
    assume(not text.startswith("0000"))  # Python's calendar begins a year later
    assert language("date").accepts(text) is succeeds(date.fromisoformat, text)


@without_deadline
@given(
    st.from_regex(
        r"[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-][0-2][0-9]:[0-6][0-9])", fullmatch=True
    )
)
def test_time_agrees_with_python_but_for_leap_seconds(text: str) -> None:
    zone = re.search(r"[+-](\d\d):(\d\d)$", text)
    assume(zone is None or int(zone[2]) < 60)  # Python adds the minutes up
    stamp = f"2020-01-01T{text}"
    expected = succeeds(datetime.fromisoformat, stamp)
    assert language("time").accepts(text) is language("date-time").accepts(stamp) is expected


pieces = st.sampled_from([*"ab:/?#[]@!$%.-~ 1", "%4F", "é", "://", "[::1]", "[v1.a]", "\ue000", '"'])


@without_deadline
@given(st.lists(pieces, max_size=12).map("".join))
def test_uris_and_iris_agree_with_another_parser(text: str) -> None:
    for name in ("uri", "uri-reference", "iri", "iri-reference"):
        assert language(name).accepts(text) is Draft202012Validator.FORMAT_CHECKER.conforms(text, name)


def spoken(letters: str) -> st.SearchStrategy[str]:
    return st.text(letters + "-.1", min_size=1, max_size=9)


@without_deadline
@given(st.one_of(*map(spoken, ("al·bX", "βχ͵", "אב׳a", "بن٠۰\u200c", "कि\u094d\u200dा", "丈・のaé", "กีุ่"))))
def test_an_internationalised_name_that_is_allowed_can_be_encoded(text: str) -> None:
    if language("idn-hostname").accepts(text):
        assert idna.encode(text, strict=True)
