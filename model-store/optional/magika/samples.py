"""Files of many types for the golden cases, made from the standard library and short texts."""
import bz2
import gzip
import io
import json
import lzma
import pickle
import random
import sqlite3
import struct
import tarfile
import wave
import zipfile
import zlib

PYTHON = """import sys


def main(arguments):
    for number, argument in enumerate(arguments):
        print(f"{number}: {argument}")


if __name__ == "__main__":
    main(sys.argv[1:])
"""

TEXTS = [
    PYTHON,
    "const names = ['a', 'b'];\nfor (const name of names) {\n  console.log(`Hello, ${name}`);\n}\nmodule.exports = { names };\n",
    "interface Point { readonly x: number; readonly y: number }\nexport function add(a: Point, b: Point): Point {\n  return { x: a.x + b.x, y: a.y + b.y };\n}\n",
    "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfor i := 0; i < 3; i++ {\n\t\tfmt.Println(i)\n\t}\n}\n",
    "use std::io;\n\nfn main() -> io::Result<()> {\n    let mut line = String::new();\n    io::stdin().read_line(&mut line)?;\n    println!(\"{}\", line.trim());\n    Ok(())\n}\n",
    "#include <stdio.h>\n\nint main(int argc, char **argv) {\n    for (int i = 0; i < argc; i++) printf(\"%s\\n\", argv[i]);\n    return 0;\n}\n",
    "public class Main {\n    public static void main(String[] args) {\n        System.out.println(\"Hello\");\n    }\n}\n",
    "#!/bin/bash\nset -e\nfor file in *.txt; do\n  echo \"$file\"\n  wc -l < \"$file\"\ndone\n",
    "SELECT name, COUNT(*) AS total\nFROM orders\nJOIN customers ON customers.id = orders.customer_id\nWHERE total > 10\nGROUP BY name;\n",
    "<!DOCTYPE html>\n<html>\n<head><title>A page</title></head>\n<body><p>Hello</p></body>\n</html>\n",
    "body { margin: 0; font: 1rem sans-serif; }\nmain > p { color: #333; }\n",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<note><to>You</to><body>Hello</body></note>\n",
    json.dumps({"name": "example", "values": list(range(30)), "nested": {"a": True, "b": None}}, indent=2),
    "name,age,city\nAnn,31,Paris\nBob,27,Berlin\nCleo,45,Rome\n",
    "name: build\non: [push]\njobs:\n  test:\n    runs-on: linux\n    steps:\n      - run: make test\n",
    "[package]\nname = \"example\"\nversion = \"0.1.0\"\n\n[dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\n",
    "[section]\nkey = value\nother = 12\n\n[another]\npath = /tmp\n",
    "# A title\n\nSome *text* with a [link](https://example.org) and `code`.\n\n- one\n- two\n\n## Another\n\n```sh\nls\n```\n",
    "--- a/file.txt\n+++ b/file.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
    "FROM debian:12\nRUN apt-get update && apt-get install -y curl\nCOPY . /app\nCMD [\"/app/run\"]\n",
    "all: main.o\n\tcc -o main main.o\n\n%.o: %.c\n\tcc -c $<\n\nclean:\n\trm -f *.o main\n",
    "\\documentclass{article}\n\\begin{document}\n\\section{One}\nSome text with $x^2$.\n\\end{document}\n",
    "From: ann@example.org\nTo: bob@example.org\nSubject: Hello\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nContent-Type: text/plain\n\nHow are you?\n",
    "The quick brown fox jumps over the lazy dog. It was a fine day, and nobody was in a hurry to be anywhere at all.\n",
    "Ein Hund läuft über die Wiese. Das Wetter ist schön, und die Kinder spielen im Garten.\n",
    "1\n00:00:01,000 --> 00:00:02,500\nHello.\n\n2\n00:00:03,000 --> 00:00:04,000\nGoodbye.\n",
    "\n\n   \t" + PYTHON + "\n\n\n",
    PYTHON * 60,
    "x",
    "Hello",
    "né à",
    "héé日",
    "        \n\n  a\n",
    "\t" * 5000,
    " " * 4090 + "Some text that begins after the first block of the file, so that only a little of it is read.",
]
# Fewer than eight bytes, some of them no UTF-8: cut, overlong, half of a surrogate pair, beyond Unicode.
FEW = ["80", "c3", "c3a9", "e697a5", "e697", "c0af", "eda080", "f09f9880", "f0808080", "f4908080", "f5", "41ff", "20e9", "00", "e0a080", "e09f80"]


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(48)) for y in range(16))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def archive(open_):
    buffer = io.BytesIO()
    with open_(buffer) as file:
        if isinstance(file, zipfile.ZipFile):
            for i in range(3):
                file.writestr(zipfile.ZipInfo(f"file{i}.txt"), PYTHON)
        else:
            info = tarfile.TarInfo("file.py")
            info.size = len(PYTHON)
            file.addfile(info, io.BytesIO(PYTHON.encode()))
    return buffer.getvalue()


def sound():
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", (i * 997) % 20000 - 10000) for i in range(2000)))
    return buffer.getvalue()


def database():
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE people (name TEXT, age INTEGER)")
        connection.execute("INSERT INTO people VALUES ('Ann', 31)")
        connection.commit()
        return connection.serialize()


def samples():
    """The first one is the model's example."""
    noise = random.Random(7)
    letters = "".join(noise.choice("abcdefghijklmnopqrstuvwxyz0123456789 \n") for _ in range(3000))
    binary = [
        png(),
        archive(lambda buffer: zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED)),
        archive(lambda buffer: tarfile.open(fileobj=buffer, mode="w")),
        gzip.compress(PYTHON.encode() * 20, mtime=0),
        bz2.compress(PYTHON.encode() * 20),
        lzma.compress(PYTHON.encode() * 20),
        sound(),
        database(),
        pickle.dumps({"a": [1, 2, 3], "b": "text" * 50}),
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n",
        bytes(noise.randrange(256) for _ in range(6000)),
        bytes(2000),
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" + bytes(noise.randrange(256) for _ in range(1500)) + b"\xff\xd9",
    ]
    texts = [text.encode() for text in [*TEXTS, letters]]
    return [*texts, *binary, *(bytes.fromhex(few) for few in FEW)]
