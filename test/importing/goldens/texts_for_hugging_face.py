"""What the small tokenizers are trained on, and the texts of the golden cases."""

CORPUS = """
The movie was great, and the actors were wonderful. The film was awful; nobody laughed.
Paris is the capital of France. Berlin is the capital of Germany. Rome is the capital of Italy.
Marie Curie was born in Warsaw and worked in Paris. She won two Nobel prizes.
Ada Lovelace wrote the first program for Babbage's engine in London.
Angela Merkel met Emmanuel Macron in Brussels on Monday to talk about the European budget.
Microsoft and Siemens opened an office in Munich; Volkswagen closed one in Kassel.
The river Rhine rises in Switzerland and flows through Basel, Cologne and Rotterdam to the sea.
I would like to return my order, because the parcel never arrived and nobody answers the phone.
How do I change the password of my account? Where can I find the invoice of last month?
Water boils at 100 degrees. In 1969 two men walked on the moon, and 600 million people watched.
The cat sat on the mat while the dog was barking unhappily at the unbelievably large elephant.
Die Größe der Straße überraschte den Müller. Schöne Grüße aus Köln, sagte Jürgen.
Le café près de l'église était fermé; François préfère le thé à la crème brûlée.
El niño comió una piña en España. Mañana será otro día, señor Muñoz.
東京は日本の首都です。 北京是中国的首都。 大阪 京都 上海
Everyone 🙂 was happy 🎉 about the naïve coöperation of São Paulo and Zürich.
""".strip().split("\n")

SHORT = [
    "The movie was great!",
    "The film was awful; nobody laughed.",
    "Paris is the capital of France.",
    "I would like to return my order.",
    "François préfère le café à Zürich.",
    "🙂🎉 東京 is happy, Größe 12½ — naïve coöperation…",
    "  two  spaces,\ttabs and\nnew lines  ",
    "WHY ARE YOU SHOUTING?!",
    "unbelievably-large.elephants@example.org costs $1,234.50",
    "x",
]
LONG = " ".join(CORPUS)

NAMES = [
    "Marie Curie was born in Warsaw and worked in Paris.",
    "Yesterday Angela Merkel met Emmanuel Macron in Brussels.",
    "🙂🎉 Jürgen Müller, of São Paulo, likes 東京 and Zürich.",
    "Microsoft opened an unbelievably large office in Munich; Volkswagen did not.",
    "AT&T's O'Neill-Smith (of Rotterdam) paid $12.50, didn't he?",
    "nobody unhappily barking",
]

MASKED = [
    "Paris is the {} of France.",
    "The {} was great!",
    "🙂 François préfère le {} à Zürich 🎉",
    "{} is the capital of Germany.",
    "The cat sat on the{}.",
    "She won two Nobel {} and then " + CORPUS[5],
]

QUESTIONS = [
    ("What is the capital of France?", "Paris is the capital of France. Berlin is the capital of Germany."),
    ("Where was Marie Curie born?", "Marie Curie was born in Warsaw and worked in Paris. She won two Nobel prizes."),
    ("Who likes the café?", "🙂🎉 François préfère le café à Zürich; Jürgen Müller aus Köln 東京 trinkt Tee."),
    ("What does the dog do?", "The dog was barking unhappily at the unbelievably large elephant."),
    ("Who?", "Nobody."),
    ("How many people watched, and where did the two men walk in that year?", CORPUS[9]),
    ("Where does the river rise?", CORPUS[6] + " " + CORPUS[8]),
    ("Who opened an office?", " ".join(CORPUS[3:8])),
    ("Who was happy about what?", " ".join(CORPUS[11:16])),
    ("What is the capital of Italy?", LONG),
]

ZERO_SHOT = [
    ("I would like to return my order, because the parcel never arrived.", ["refund", "password", "travel"], False),
    ("I would like to return my order, because the parcel never arrived.", ["refund", "password", "travel"], True),
    ("🙂 東京 は François", ["Größe", "café", "the European budget"], False),
    ("Paris is the capital of France.", ["geography"], False),
    (LONG, ["film", "science", "food and drink"], False),
    (LONG, ["film", "science", "food and drink"], True),
]

SIMILAR = [
    ("The movie was great!", ["The film was awful.", "Paris is the capital of France.", "The movie was great"]),
    ("🙂 François préfère le café", ["Jürgen trinkt Tee in Köln 東京", "François préfère le thé"]),
    (LONG, [LONG[:300], LONG[400:], "x"]),
]
