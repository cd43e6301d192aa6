"""Records how Python tokenizes difficult strings, for the tests of src/tokenizer.

  pip install -r scripts/train/requirements.txt
  python scripts/tokenizer_fixture.py

Reads fixtures/factbook/griffin/tokenizer.model and writes into fixtures/tokenizer:

  factbook-spm.json         [{text, ids, decoded}] by sentencepiece: TRICKY, then 500 fuzz strings
  factbook-spm-decode.json  [{ids, text}] ids that no text encodes to (cut byte sequences, control pieces)
  factbook-tokenizer.json   the same vocabulary as a Hugging Face tokenizer, converted as Gemma's was
  factbook-hf.json          [{text, ids, decoded}] by Hugging Face tokenizers, for the same strings

Ids are without the leading <bos>; the Hugging Face file itself adds one (post_processor).
"""

import json
import pathlib
import random

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as model_pb2
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

ROOT = pathlib.Path(__file__).parents[1]
MODEL = ROOT / "fixtures/factbook/griffin/tokenizer.model"
HELDOUT = ROOT / "fixtures/factbook/heldout.txt"
OUT = ROOT / "fixtures/tokenizer"
SEED = 20240411
FUZZ_COUNT = 500

CONTROL, USER_DEFINED = 3, 4

TRICKY = [
    "", " ", "  ", "   ", " " * 15, " " * 16, " " * 17, " " * 31, " " * 100,
    "a", " a", "a ", " a ", "  two  spaces  inside  ", "trailing   ", "   leading",
    "\n", "\n\n", "\n\n\n", "\n" * 8, "\n" * 9, "\n" * 21, "a\n\nb", " \n \n ", "\r\n", "a\r\nb\r", "\t", "\t\ta\t", "\v\f",
    "Geography of Iceland\n\nLocation: Northern Europe, island between the Greenland Sea and the North Atlantic Ocean",
    "Hello, world!", "don't can't it's", "snake_case camelCase UPPER lower MiXeD",
    "0", "1234567890", "3.14159", "1,234,567.89", "0x1F 2^64", "(2015 est.)", "-1 +1 1e-5",
    "\u2581", "\u2581\u2581", "\u2581a\u2581b", " \u2581 ", "a\u2581 \u2581b", "\u2581" * 20,
    "\u00a0", "a\u00a0b", "\u2003\u3000\u200b\ufeff",
    "caf\u00e9", "cafe\u0301", "\u0301", "\u0301\u0302\u0303", "\u00f1 \u00df \u00c5 \u0153",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308 flag", "\U0001f1eb\U0001f1f7\U0001f1f8\U0001f1ea", "\U0001f44d\U0001f3fd",
    "\u4f60\u597d\u4e16\u754c", "\u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e44\u0e17\u0e22",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u05e9\u05dc\u05d5\u05dd", "\u202eabc\u202c",
    "\x00", "a\x00b", "\x01\x02\x1b[31mred\x7f", "\u0080\u009f", "\ufffd", "\ufffe\uffff", "\U0010ffff",
    "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "a<bos>b", " <bos> ", "<BOS>", "<bos", "bos>",
    "<start_of_turn>", "<end_of_turn>", "<start_of_turn>user\nHi!<end_of_turn>\n<start_of_turn>model\n",
    "<start_of_turn", "< start_of_turn>", "a<start_of_turn>b", "<start_of_turn><start_of_turn>", "<<start_of_turn>>",
    "<0x41>", "<0x00>", "<0xFF>", "<s></s>", "[INST]",
    "a" * 300, "ab" * 200, "aaaaaaaaab", "the" * 50, "." * 64, "-" * 33, "=" * 80, "\u00e9" * 40, "\U0001f600" * 12,
    "\n \n  \n   \n", " \t \n\t ", "x\n" * 10, "  - item\n    - nested\n", "{\"key\": [1, 2, {\"a\": null}]}",
    "def f(x):\n    return x ** 2  # square\n", "https://example.org/a?b=c&d=%20#e", "C:\\path\\to\\file", "$\\frac{1}{2}$",
]  # fmt: skip

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz ",
    "ABC xyz 0123456789 .,;:-()%$\n",
    " \n\t\u2581\u00a0",
    "<>/_start_of_turn bos eos mask 0x",
    "\u00e9\u00fc\u00f1\u0153\u0142\u0301 \u2019\u2013",
    "\u4e2d\u6587\u30c6\u30b9\u30c8\u0645\u0631\u05e9\u0e44\U0001f600\U0001f468\u200d\ufe0f ",
    "\x00\x01\x1f\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
]
PIECES = ["<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "\n\n\n", "    ", "\u2581\u2581", "<0x0A>"]


def fuzz_strings() -> list[str]:
  """Random mixtures of alphabets, special pieces and bits of real text."""
  rng = random.Random(SEED)
  prose = HELDOUT.read_text("utf-8")
  strings = []
  for _ in range(FUZZ_COUNT):
    parts = []
    for _ in range(rng.randint(1, 6)):
      kind = rng.random()
      if kind < 0.15:
        parts.append(rng.choice(PIECES))
      elif kind < 0.35:
        start = rng.randrange(len(prose) - 40)
        parts.append(prose[start : start + rng.randint(1, 40)])
      else:
        alphabet = rng.choice(ALPHABETS)
        parts.append("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 12))))
    strings.append("".join(parts))
  return strings


def undecodable_ids(sp: spm.SentencePieceProcessor) -> list[list[int]]:
  byte = [sp.piece_to_id(f"<0x{b:02X}>") for b in range(256)]
  emoji = [byte[b] for b in "\U0001f600".encode()]
  word = sp.encode("Iceland")
  return [
      [], [0], [1], [2], [3], [2, *word, 1], [*word, 3, *word],
      emoji, emoji[:1], emoji[:2], emoji[:3], emoji[1:], emoji[:3] + word, emoji[:2] + emoji, word + emoji[:2] + [7] + emoji[2:],
      [byte[0x80]], [byte[0xFF]], [byte[0xC0], byte[0x80]], [byte[0xED], byte[0xA0], byte[0x80]], [byte[0xF4], byte[0x90], byte[0x80], byte[0x80]],
      [byte[0x41]], [byte[0x41], byte[0xC3]], [byte[0x0A], byte[0x09], byte[0x20]], [byte[0x00]],
      emoji[:2] + [2] + emoji[2:], [15, 16, 7, 8],
  ]  # fmt: skip


def merges(vocab: dict[str, int], scores: dict[str, float]) -> list[tuple[str, str]]:
  """Every way to put a piece together from two others, best score first.

  The order of ties is that of transformers' convert_slow_tokenizer.generate_merges.
  """
  found = []
  for piece, score in scores.items():
    splits = [(piece[:i], piece[i:], score) for i in range(1, len(piece))]
    known = [s for s in splits if s[0] in vocab and s[1] in vocab]
    found += sorted(known, key=lambda s: (vocab[s[0]], vocab[s[1]]))
  found.sort(key=lambda s: (s[2], len(s[0]), len(s[1])), reverse=True)
  return [(left, right) for left, right, _ in found]


def convert(model: bytes) -> tokenizers.Tokenizer:
  """The tokenizer.json of a Gemma-style SentencePiece model."""
  proto = model_pb2.ModelProto.FromString(model)
  # Gemma's own conversion stores the tab as itself; without that the decoder would show <0x09>'s byte all the same.
  names = ["\t" if p.piece == "<0x09>" else p.piece for p in proto.pieces]
  vocab = {name: i for i, name in enumerate(names)}
  scores = {name: p.score for name, p in zip(names, proto.pieces)}
  tokenizer = tokenizers.Tokenizer(
      models.BPE(vocab, merges(vocab, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True, dropout=None)
  )
  # Control pieces are special (skipped when decoding); user-defined ones are matched in text but are ordinary.
  turns = ("<start_of_turn>", "<end_of_turn>")
  tokenizer.add_tokens([
      tokenizers.AddedToken(p.piece, normalized=False, special=p.type == CONTROL or p.piece in turns or p.piece == "<unk>")
      for p in proto.pieces
      if p.type in (CONTROL, USER_DEFINED) or p.piece == "<unk>"
  ])
  tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
  tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
  tokenizer.decoder = decoders.Sequence(
      [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
  )
  tokenizer.post_processor = processors.TemplateProcessing(
      single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", vocab["<bos>"])]
  )
  return tokenizer


def write(name: str, entries: list[dict]) -> None:
  """One entry a line, ASCII only, so that control characters survive editors."""
  lines = ",\n".join(json.dumps(e) for e in entries)
  (OUT / name).write_text(f"[\n{lines}\n]\n")


def main() -> None:
  OUT.mkdir(parents=True, exist_ok=True)
  texts = TRICKY + fuzz_strings()

  sp = spm.SentencePieceProcessor(model_file=str(MODEL))
  spm_ids = [sp.encode(t) for t in texts]
  write("factbook-spm.json", [{"text": t, "ids": i, "decoded": sp.decode(i)} for t, i in zip(texts, spm_ids)])
  write("factbook-spm-decode.json", [{"ids": i, "text": sp.decode(i)} for i in undecodable_ids(sp)])

  path = OUT / "factbook-tokenizer.json"
  path.write_text(convert(MODEL.read_bytes()).to_str(pretty=True) + "\n", "utf-8")
  hf = tokenizers.Tokenizer.from_file(str(path))
  hf_ids = [hf.encode(t, add_special_tokens=False).ids for t in texts]
  decoded = [hf.decode(i, skip_special_tokens=False) for i in hf_ids]
  write("factbook-hf.json", [{"text": t, "ids": i, "decoded": d} for t, i, d in zip(texts, hf_ids, decoded)])

  differing = [t for t, a, b in zip(texts, spm_ids, hf_ids) if a != b]
  print(f"{len(texts)} strings; Hugging Face and sentencepiece differ on {len(differing)}")
  for text in differing[:20]:
    print(f"  {text!r}")


if __name__ == "__main__":
  main()
