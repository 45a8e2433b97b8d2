"""Texts on which tokenizers are compared: sentences in many scripts, edges, and seeded random mixtures."""
import random

SENTENCES = """
The quick brown fox jumps over the lazy dog, doesn't it?
I've said "hello" to them; they'll say it's fine - won't they? 12,345.67 USD (about 10%)!
Unaffable characters: re-tokenization, co-operate, e-mail: someone@example.org, https://example.org/a?b=c&d=e#f
Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë au delà des îles, près du mälström.
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. STRASSE und Straße.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío; ¿añoraba a su querido cachorro?
Příliš žluťoučký kůň úpěl ďábelské ódy. Zażółć gęślą jaźń. Árvíztűrő tükörfúrógép.
Cụ thể, bạn sẽ tham gia một nhóm các giám đốc điều hành tổ chức.
İstanbul'da IŞIK ve ılık ığdır; pijamalı hasta yağız şoföre çabucak güvendi.
Γαζέες καὶ μυρτιὲς δὲν θὰ βρῶ πιὰ στὸ χρυσαφὶ ξέφωτο. ΟΔΥΣΣΕΥΣ ΣΟΦΟΣ.
Съешь же ещё этих мягких французских булок, да выпей чаю. Їжак ґанок. Ђорђе.
Բոլոր մարդիկ ծնվում են ազատ ու հավասար։ ԵՒ եւ
ყველა ადამიანი იბადება თავისუფალი. ᲧᲕᲔᲚᲐ
כל בני אדם נולדו בני חורין ושווים. שָׁלוֹם עֲלֵיכֶם
يولد جميع الناس أحرارًا متساوين في الكرامة. السَّلَامُ عَلَيْكُمْ ﷺ ۱۲۳ ١٢٣
سارے انسان آزاد پیدا ہوئے ہیں۔ می‌خواهم
सभी मनुष्य स्वतंत्र जन्म लेते हैं। हिन्दी में क्षत्रिय ज़्यादा क़लम
সকল মানুষ স্বাধীনভাবে জন্মগ্রহণ করে। ড়াঢ়া কো
ਸਾਰੇ ਮਨੁੱਖ ਆਜ਼ਾਦ ਹਨ। બધા મનુષ્યો સ્વતંત્ર છે
மனிதர் சுதந்திரமாகப் பிறக்கின்றனர். கொடி మానవులు స్వేచ్ఛ
ಮಾನವರು ಸ್ವತಂತ್ರ കൊച്ചി മനുഷ്യർ සියලු මනුෂ්‍යයෝ
มนุษย์ทั้งหลายเกิดมามีอิสระ น้ำ กำลัง ที่นี่ ຄົນທັງຫຼາຍ ນໍ້າ
အားလုံး လွတ်လပ်သော མི་རིགས་ ཀྵ ཱི មនុស្សទាំងអស់ ኹሉም ሰው
모든 인간은 태어날 때부터 자유로우며 존엄과 권리에 있어 동등하다. 한글 각 힣
すべての人間は、生まれながらにして自由であり、が ガ ｶﾞ ﾊﾟ プログラム。
人人生而自由，在尊严和权利上一律平等。我爱北京天安门！𠮷野家 𪚥 㐀 豈 﨑
Qo'noS ꦲꦏ꧀ꦱꦫ ᠮᠣᠩᠭᠣᠯ ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ ⴰⵎⴰⵣⵉⵖ ߒߞߏ 𐐷𐑌 𞤀𞤣𞤤𞤢𞤥
👩‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 ❤️ 🏳️‍🌈 1️⃣ 🤷🏾‍♀️ 🧑🏻‍🚀 ☃︎ 😀😀
ﬁne ﬂow ﬃ ½ ¼ ² ³ ① ⅷ ㎏ ㍿ Å Ω K ™ ℡ ﷲ ﹏ ＡＢＣ １２３ ～ 〜 ｡
x² + y³ ≤ ∑ᵢ αᵢ·βⁱ ≈ 3.14159… → ∞; 𝒜𝔅ℂ𝕕 𝟙𝟚 ∯ ⨌ ″ ‴
“Curly” ‘quotes’ – en — em … ‹a› «b» „c“ ‚d‘ `` '' ``quoted'' text
snake_case camelCase PascalCase kebab-case SCREAMING_CASE x_1 __init__ a.b.c C++ C# F# .NET
def f(x):\n\treturn {'a': [1, 2.5e-3, 0xFF]}  # comment\n\n\n    if x != None and y >= 3: pass
<p class="a">Tom &amp; Jerry</p> <!-- c --> [link](http://x.y) **bold** $\\alpha$ C:\\dir\\file.txt
"""

EDGES = [
    "", " ", "  ", "   ", "\t", "\n", "\r\n", "\r\n\r\n", " \n ", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "\u2028",
    "\u0001", "\u0000", "a\u0000b", "\u007f", "\u0085", "\u00ad", "a\u00adb", "\ufffd", "a\ufffdb", "\ufffe", "\ue000", "\U000f0000",
    "a", "A", "1", ".", "▁", "▁▁", "▁a", "a▁", " ▁ ", "a ▁ b", "▁▁▁a▁▁", ",▁", ", ▁,", "Ġ", "Ġa", "##", "##a", "a##b", "_", "</w>", "a</w>",
    "\u0301", "\u0301\u0301", "e\u0301", "e\u0301\u0323", "e\u0323\u0301", "\u0301a", "a \u0301", " \u0301", "\u0345\u0301", "\u0344", "q\u0307\u0323",
    "\u1e9b\u0323", "\u212b", "\u2126", "\u0958", "\u0f73", "\u0f71\u0f72", "\u1100\u1161", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u1161\u11a8",
    "\u09c7\u09be", "\u0b47\u0b3e", "\u0cc6\u0cc2\u0cd5", "\u1025\u102e", "\ufb2c", "\u05e9\u05bc\u05c1", "\u0627\u0653", "\u3099", "か\u3099", "カ\u309a",
    "Σ", "ΑΣ", "ΑΣ ΑΣΑ", "İ", "İİ", "iİi\u0307", "ß", "ẞ", "ŉ", "ǰ", "ﬀ", "Ǆǅǆ", "ΐ", "ᾳ", "ῼ", "\u1e9e",
    "[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "[mask]", "[ MASK ]", "a[MASK]b", "a [MASK] b", "  [MASK]  ", "[MASK][MASK]", "[MASK] [MASK]", "[MASK", "MASK]", "[[MASK]]",
    "<s>", "</s>", "<mask>", "<unk>", "<pad>", "a<mask>b", "a <mask> b", "  <mask>  ", "<mask><mask>", "<mask> <mask>", " <mask>", "<mask> ", "<mask", "< mask>", "<s></s>", "x</s>y", "\n<mask>\n", "é<mask>é",
    "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", "<|startoftext|>a<|endoftext|>", "<|endof", "<extra_id_0>", "a <extra_id_0> b", "<extra_id_0>,", "<0x41>", "<0x0A>",
    "NEWTOKEN", "newtoken", "a NEWTOKEN b", "aNEWTOKENb", "NEWTOKENS", "NEWTOKEN.", "ÑEW", "ñew token", "a ÑEW  b", "Lefty", "  lefty  ", "  righty  x", "solo", "solos", "a solo b", "(solo)", "solo solo", "é solo é", "\u0301solo",
    "a b", "a  b", "a   b", "a    b", " a", "  a", "   a", "a ", "a  ", "a   ", " a b ", "  a  b  ", "a\tb", "a\nb", "a\n\nb", "a \n b", "a\r\nb", "\ta", "a\u00a0b", "a\u3000b", "a\u2009\u2009b",
    "'s", "it's", "IT'S", "'S", "can't've", "we'll'd", "'''", "''''s", "``", "''", "``a''", "a''b", "'ve 've", "don’t",
    "1", "12", "123", "1234", "12345", "1,234.56", "１２", "٣٤", "²³", "½", "Ⅻ", "一二三", "3rd", "v1.2.3", "0x1F",
    "日本語", "日 本", "日本。", "漢字かな", "𠀀", "𠀀𠀁", "a𠀀b", "한국어", "가나다", "각", "ภาษาไทย", "สวัสดีครับ", "नमस्ते", "क्ष", "ज़", "ড়", "தமிழ்",
    "😀", "😀😀", "a😀b", "👨‍👩‍👧", "👍🏽", "🇩🇪", "❤️", "❤", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "😀\u0301", "a\u200db", "क\u094d\u200dष", "e\u20dd",
    "\u202eabc\u202c", "\u2066x\u2069", "a\u200bb", "a\u200cb", "\u200e\u200f", "\ufe0f", "\U000e0001", "a\u034fb", "\u061ca",
    "\u088f", "\ua7ce\ua7cf", "\U00010940", "\U00016ea0", "\u0897", "a\u0897", "\u07fd", "a\u0301\u0897\u0323", "\u1734", "\U0001171e", "\u1cf2", "\u166d", "\U000111c9", "\u2e52a", "\u32ff", "\U0001f16c", "\U0001fbf0", "\ua7f2", "\U000105c9", "\U000105d2\u0307", "\U00011383",
    "x" * 99, "x" * 100, "x" * 101, "é" * 100, "😀" * 101, "ab" * 400, "a " * 400, " " * 300, "\n" * 200, "." * 200, "日" * 300, "\u0301" * 40, "e" + "\u0301\u0323" * 40, "1" * 300, "a\u0301" * 100, "👩‍👩‍👧‍👦" * 20, "▁" * 60, "<mask>" * 30, "[MASK] " * 30, "'" * 50,
]

BLOCKS = [
    (0x20, 0x7e), (0x20, 0x7e), (0x61, 0x7a), (0xa0, 0x24f), (0x1, 0x1f), (0x250, 0x36f), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x52f), (0x590, 0x6ff),
    (0x900, 0x97f), (0x980, 0xdff), (0xe00, 0xeff), (0xf00, 0xfff), (0x1000, 0x10ff), (0x1100, 0x11ff), (0x1e00, 0x1fff), (0x2000, 0x206f),
    (0x2070, 0x218f), (0x2190, 0x27bf), (0x3000, 0x30ff), (0x3130, 0x33ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfb00, 0xfdff),
    (0xfe00, 0xffef), (0x10000, 0x10fff), (0x11000, 0x11fff), (0x1d100, 0x1d7ff), (0x1e000, 0x1efff), (0x1f1e6, 0x1f6ff), (0x1f900, 0x1faff), (0x20000, 0x2ffff),
    (0x2580, 0x2582), (0x1ab0, 0x1aff), (0x1dc0, 0x1dff), (0x20d0, 0x20ff), (0xe0000, 0xe01ef), (0xe000, 0xe010),
]
GLUE = [" ", " ", "  ", "\n", "\t", ",", ".", " - ", "'s ", "\u0301", "\u200d", "▁", "[MASK]", "<mask>", "</s>", "<|endoftext|>", " NEWTOKEN ", "lefty ", " solo", "😀", "🇩🇪", "\r\n", "\u00a0", "''", "1", "23"]


def well_formed(point):
    return not 0xD800 <= point <= 0xDFFF


def from_block(rng, length):
    low, high = rng.choice(BLOCKS)
    return "".join(chr(point) for point in (rng.randint(low, high) for _ in range(length)) if well_formed(point))


def texts():
    rng = random.Random(20240229)
    sentences = [line.replace("\\n", "\n").replace("\\t", "\t") for line in SENTENCES.strip().split("\n")]
    words = [word for sentence in sentences for word in sentence.split()]
    out = sentences + EDGES
    out += [from_block(rng, rng.randint(1, 24)) for _ in range(350)]
    for _ in range(350):
        out.append("".join(rng.choice([lambda: rng.choice(words), lambda: rng.choice(GLUE), lambda: from_block(rng, rng.randint(1, 4))])() for _ in range(rng.randint(2, 12))))
    for _ in range(120):
        out.append(rng.choice(["", " ", "  "]).join(rng.choice(words) + rng.choice(GLUE) for _ in range(rng.randint(1, 8))))
    for _ in range(30):
        out.append(" ".join(rng.choice(sentences) for _ in range(6)))
    return out
