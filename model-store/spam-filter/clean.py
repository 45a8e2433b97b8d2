"""
From raw mails to texts that point at nobody: headers, quotes and signatures go, addresses and names become words.

Two passes, because whether "Mark" is a person or a verb is a question for the whole corpus:
`readable(mail)` does everything but names, `NameMask(...)` learns the names and masks them.
It is masking by rules: some names remain, and the model card says how many were found when texts were read by eye.
"""
import email
import email.header
import email.utils
import hashlib
import html
import re
import unicodedata
from collections import Counter
from functools import cache

import names
from english_words import get_english_words_set

LONGEST = 4000

HTML_NOISE = re.compile(r"<(style|script)\b.*?</\1\s*>|<!--.*?-->|<[^<>]{1,1000}>", re.S | re.I)
PGP_BLOCK = re.compile(r"-----BEGIN PGP (?!SIGNED).*?(-----END PGP[^\n]*|\Z)", re.S)
ENDINGS = re.compile(
    r"^(-- ?|__+|-----+ ?(Original|Forwarded) Message ?-+.*|Version: GnuPG.*|This sf\.net email is sponsored.*"
    r"|(To|Yahoo! Groups) (unsubscribe|Sponsor).*|.*mailing list$)$.*",
    re.S | re.M | re.I,
)
ATTRIBUTION = re.compile(
    r"^[ \t]*(On|At|In|Le|Am)\b[^\n]{0,160}\n?[^\n]{0,120}\b(wrote|writes|said|says|ecrit|schrieb)\b[^\n]{0,12}$"
    r"|^[^\n]{0,120}\b(wrote|writes|said|schrieb)( [^\n]{0,30})?:[ \t]*$"
    r"|^[ \t]*(Quoting|Quote from|Once upon a time|Thus spake|Forwarded by|Posted by|Submitted by|Written by)\b[^\n]*$",
    re.M | re.I,
)
QUOTED = re.compile(r"^[ \t]*([A-Za-z]{0,4}>|[|}] ?|\+ ?\|).*$", re.M)
HEADER_LINE = re.compile(
    r"^[ \t*]*(From|To|Cc|Bcc|Date|Sent|Subject|Reply-To|Message-ID|Received|Return-Path|Sender|In-Reply-To|References"
    r"|Delivered-To|Organi[sz]ation|List-\w+|Mime-Version|Content-[\w-]+|X-[\w-]+|Precedence|Errors-To|Name|Author"
    r"|Byline|Contact|Attn|Attention)[ \t]*:.*$",
    re.M | re.I,
)
STREETS = (
    r"(Street|St|Avenue|Ave|Road|Rd|Drive|Dr|Boulevard|Blvd|Lane|Ln|Suite|Ste|Way|Court|Ct|Highway|Hwy|Parkway|Pkwy|Place"
    r"|Square|Floor|Plaza|Circle|Terrace|Bldg)"
)
DOMAINS = (
    r"(com|net|org|edu|gov|mil|int|info|biz|name|co|ie|uk|de|fr|nl|it|es|se|no|fi|dk|be|at|ch|jp|cn|kr|tw|hk|ru|ca|au|nz|us"
    r"|tv|cc|cx|ws|to|za|il|br|in|eu|arpa)"
)
MASKS = [
    (re.compile(r"(https?|ftp|mailto|irc|nntp)\s*:/{0,3}[^\s<>\"')\]]+", re.I), " webaddress "),
    (re.compile(r"[\w.+=-]+\s?@\s?[\w-]+(\.[\w-]+)*"), " emailaddress "),
    (re.compile(r"\b[\w.-]+ (at|\(at\)|\[at\]) [\w-]+ ?(dot|\(dot\)|\[dot\]) ?\w+", re.I), " emailaddress "),
    (re.compile(r"\bwww\.[^\s<>\"')\]]+", re.I), " webaddress "),
    (re.compile(rf"\b[\w-]+(\.[\w-]+)*\.{DOMAINS}\b(/[^\s<>\"')\]]*)?", re.I), " webaddress "),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b"), " webaddress "),
    (re.compile(r"\b(P\.? ?O\.?|Post Office) ?(Box|Drawer) ?#?\d+", re.I), " streetaddress "),
    (re.compile(rf"\b\d+[A-Za-z]?,? +([NSEW]\.? +)?([A-Z0-9][\w.']*,? +){{1,3}}{STREETS}\b\.?( *#?\d+)?"), " streetaddress "),
    (re.compile(rf"\b([A-Z][a-z]+ ){{1,2}}{STREETS}\b\.?,? *#?\d+"), " streetaddress "),
    (re.compile(r"\b([A-Z][A-Za-z.]+ ?){1,3},? *[A-Z]{2}\.?,? +\d{5}(-\d{4})?\b"), " streetaddress "),
    (re.compile(r"(^[A-Z0-9][\w' ]{2,25}(,|\s*\n)\s*){1,4}Co\.? [A-Z][a-z]{3,}\b", re.M), " streetaddress "),
    (re.compile(r"\b1[- .]8(00|88|77|66|55)[- .][\w-]+", re.I), " phonenumber "),
    (re.compile(r"(?<![\d,.$])\+?\(?\d[\d ().+/-]{5,}\d(?!\d)"), lambda match: phone_or_date(match[0])),
    (re.compile(r"\b\d{3}[ .-]+\d{3}\s+\d{4}\b"), " phonenumber "),
    (re.compile(r"\b\S{41,}"), " "),
    (re.compile(r"@"), " at "),
]
DATE = re.compile(r"(19|20)\d\d *[-/.] *((19|20)\d\d|\d\d?[-/.]\d\d?)|\d\d?[-/.]\d\d?[-/.](19|20)\d\d")
SIGN_OFF = re.compile(
    r"^[ \t]*((best|kind|warm|many)? ?(regards|wishes|thanks)|cheers|sincerely( yours)?|yours( \w+)?|thank you|slan|later|ciao|peace|take care)"
    r"[,.!]*[ \t]*\n(.{0,40}\n?){0,3}\Z",
    re.M | re.I,
)
GREETING = re.compile(r"\b(Hi|Hello|Hey|Dear|Hiya|Yo|Thanks|Cheers|Mr|Mrs|Ms|Dr|Prof|Sir|Senator|President|Professor)\.?,? +((?:[A-Z][\w'.-]+ ?){1,3})(?=[\s,.!:;-]|$)")
TITLED = re.compile(r"\b(Mr|Mrs|Ms|Messrs|Barrister|Engr|MR|MRS|DR)\.? *((?:[A-Z]\.? ?)?[A-Z][A-Za-z'-]+)")
DASHED_NAME = re.compile(r"^[-~]+ ?[A-Za-z]{2,12}\.?$", re.M)
WORD = re.compile(r"[A-Za-z]+")
NAME_RUN = re.compile(r"personname(?:[\s,]{1,2}(?:[A-Z]\.? +)?personname)+")
TITLE_PAIR = re.compile(r"\b[A-Z][a-z]+(?: [A-Z]\.)? [A-Z][a-z'-]+(?:[A-Z][a-z]+)?\b")
BESIDE = re.compile(r"(?<=personname )(?:[A-Z]\.? )?((?:van|von|de|da|del|la|bin|al|O'|Mc) ?)*[A-Z][A-Za-z'-]+|[A-Z][A-Za-z'-]+(?= personname)")

KEEP = set(
    "january february march april may june july august september october november december monday tuesday wednesday"
    " thursday friday saturday sunday america africa europe asia england ireland france germany italy spain china japan"
    " india israel russia canada mexico iraq iran britain scotland korea brazil cuba dublin london paris berlin york"
    " washington texas california florida virginia carolina georgia nevada dakota jersey hampshire houston dallas boston"
    " chicago austin denver orlando phoenix lincoln jackson madison columbia apple dell sun intel microsoft adobe"
    " oracle java perl python linux unix debian redhat mandrake suse windows office explorer netscape mozilla yahoo google"
    " ebay paypal visa amex mastercard viagra nigeria nigerian lagos congo zaire sierra leone togo benin ghana god"
    " jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat inc ltd llc corp usa usd iii dvd dvds cnet"
    " zdnet aol msn hotmail mac macintosh quicktime freebsd ximian norton hewlett packard epson siemens ericsson philips"
    " disney hollywood vegas angeles francisco hong kong santa maine oregon kansas tennessee maryland delaware vermont ohio"
    " norway denmark argentina peru poland austria kenya jamaica sydney geneva zurich amsterdam oxford cambridge stanford"
    " harvard berkeley spanish russian greek czech latin arab arabia muslim bible salvia tia spambayes satalk bugtraq"
    " english french german dutch irish american christian catholic islam jewish christmas easter internet web net mail"
    " spam server free cash bank credit loan money".split()
)

# Names that no list and no header of the corpus has, found by reading: sha256 of the word in lower case, first twelve
# digits, so that this file names nobody either.
ALSO = set(
    "0071cc8cf738 034d2386bd41 0e9c7fc60164 0f0bf411fcf1 0f3e78a6d912 10682236c9a2 12e40f7e97d6 130003997fd5 "
    "150f1d33cc79 18f4aec1006a 1afc813ca752 23c8f1bdd488 27732bd821ef 305948d5ea6a 35e5bbc04b8f 3e3b65235d92 "
    "3f98114b0f77 41d82e8d6b55 44a43ecbcdad 4b829b8f7a30 4badb0e2663a 4e767edb5332 4f6cb2c0455a 555b6bb30c56 "
    "583f8c66e3ea 594a8bf5972f 5a8a8ca1180f 5c5eca7d87cf 5e34d5179c13 6392c4e19894 6ef7d4b103d8 7314222aaec2 "
    "85ba42aa2958 873d7c09558d 8a2539e2b69d 90c44e7e94fc 966910347457 9676b21cd39e 9c3c2ae516c9 9f3cb230643b "
    "a46d819f1654 a569fb1bc980 a5bb9829c699 a793600a2d9c ab080737bac5 b2421ec4f7ba b4fd05b1806d ba10e913c3fa "
    "c10c252a285f cadc8edab738 cb3865e974ae cd08d039c384 ce03302df779 cee4d7e943d5 d06b033545d8 d196ae7e9164 "
    "db304df03461 df9366ecf858 f2f64b860687 f5e9db6ac18b f625ed36b86d fb8e5dfa02eb fd70ad909b94".split()
)


def readable(mail):
    """(subject and body as text without headers, quotes, signatures and addresses; the names its headers show)"""
    message = email.message_from_bytes(mail)
    subject = decoded_header(message["Subject"])
    body = "\n".join(parts_of(message)[:2])
    return f"{mask_addresses(plain(subject))}\n{mask_addresses(own_words(body))}", header_names(message)


def decoded_header(value):
    try:
        return str(email.header.make_header(email.header.decode_header(str(value or "")))).replace("\n", " ")
    except (LookupError, UnicodeError, ValueError):
        return str(value or "")


def parts_of(message):
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    return [(part.get_payload(decode=True) or b"").decode("latin1") for part in parts]


def own_words(body):
    """What the sender wrote: no markup, no quotes, no forwarded headers, no signature."""
    text = plain(html.unescape(HTML_NOISE.sub(" ", body))).replace("\r", "")
    text = PGP_BLOCK.sub("", text)
    text = QUOTED.sub("", HEADER_LINE.sub("", ATTRIBUTION.sub("", text)))
    return ENDINGS.sub("", text)


def mask_addresses(text):
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return tidy(text)


def phone_or_date(digits):
    is_phone = sum(character.isdigit() for character in digits) >= 7 and not DATE.match(digits)
    return " phonenumber " if is_phone else digits


def plain(text):
    """Accented letters lose their accents, so that a name stays one word."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def tidy(text):
    text = re.sub(r"[^\n\x20-\x7e]+", " ", text)
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t]+", " ", text)).strip()


def header_names(message):
    """Words of the display names, and account names, in lower case."""
    found = set()
    for field in ("From", "Reply-To", "Sender", "To", "Cc"):
        for shown, address in email.utils.getaddresses([decoded_header(value) for value in message.get_all(field, [])]):
            found.update(word.lower() for word in WORD.findall(plain(shown)))
            if address.split("@")[0].isalpha():
                found.add(address.split("@")[0].lower())
    return found


class NameMask:
    """
    Knows which words of this corpus are names: in a census or in a mail's headers, and not usual in lower case.

    A first name needs to be written with a capital more often than without. A surname or a header word must besides
    be no English word and no acronym; beside a name already found it is masked all the same.
    """

    def __init__(self, texts, shown_in_headers):
        self.lower, self.title, self.upper = Counter(), Counter(), Counter()
        for text in texts:
            words = set(WORD.findall(text))
            self.lower.update(word for word in words if word.islower())
            self.title.update(word.lower() for word in words if word.istitle())
            self.upper.update(word.lower() for word in words if word.isupper())
        self.first = census("first:male") | census("first:female")
        self.last, self.shown = census("last"), shown_in_headers
        self.english = {word for word in get_english_words_set(["web2"]) if word.islower()}

    def is_name(self, word):
        word = word.lower()
        if len(word) < 3 or word in KEEP:
            return False
        if digest(word) in ALSO:
            return True
        if word in self.first:
            return self.lower[word] < (1 if word in self.english else 5) * max(self.title[word], 1)
        acronym = self.upper[word] > 3 * max(self.title[word], 1)
        return (word in self.last or word in self.shown) and not acronym and not self.is_usual(word)

    def is_usual(self, word):
        word = word.lower()
        endings = ("s", "es", "ed", "ing")
        inflected = self.lower[word] > 1 and any(word.removesuffix(end) in self.english for end in endings)
        in_dictionary = word in self.english or inflected
        often = 8 if word in self.shown else 2
        return in_dictionary or word in KEEP or self.lower[word] > max(often, 0.5 * self.title[word])

    def mask(self, text):
        text = DASHED_NAME.sub("", SIGN_OFF.sub("", text))
        text = WORD.sub(lambda m: "personname" if self.is_name(m[0]) else m[0], text)
        text = GREETING.sub(self.mask_greeting, TITLED.sub(r"\1 personname", text))
        text = TITLE_PAIR.sub(self.mask_strange_pair, text)
        for _ in range(2):
            text = BESIDE.sub(self.mask_neighbour, NAME_RUN.sub("personname", text))
        return self.without_last_name(tidy(NAME_RUN.sub("personname", text)))[:LONGEST].rstrip()

    def mask_greeting(self, match):
        def masked(word):
            return word[0] if word.start() == 0 or self.is_usual(word[0]) or word[0] == "personname" else "personname"

        return WORD.sub(masked, match[0])

    def mask_strange_pair(self, match):
        """Two capitalised words that are neither English nor ever written small are taken for a name."""
        words = [word for word in WORD.findall(match[0]) if len(word) > 1]
        return match[0] if any(self.is_usual(word) or self.lower[word.lower()] for word in words) else "personname"

    def mask_neighbour(self, match):
        word = WORD.findall(match[0])[-1].lower()
        known = word in self.first or word in self.last or word in self.shown
        plain = word in KEEP or (self.is_usual(word) and not (known and self.lower[word] < 30))
        return match[0] if plain else "personname"

    def without_last_name(self, text):
        """Drops a last line of one to three words that is no more than a name."""
        head, _, last = text.rpartition("\n")
        words = WORD.findall(last)
        signed = head and 0 < len(words) <= 3 and not last.rstrip().endswith(("?", "!"))
        return head if signed and not all(self.is_usual(word) for word in words) else text


def census(kind):
    """Lower-case names of the census lists that the package `names` carries."""
    with open(names.FILES[kind]) as file:
        return {line.split()[0].lower() for line in file}


@cache
def digest(word):
    return hashlib.sha256(word.encode()).hexdigest()[:12]
