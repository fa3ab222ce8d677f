"""Small tokenizers, trained on a few sentences and written as the published folders have them.

T5's is a real SentencePiece unigram model (`spiece.model`), CLIP's a real byte-level BPE (`vocab.json`, `merges.txt`).
Both read any text: every ASCII character has a token of its own.
"""

from __future__ import annotations

import io
import json
import re
import string
from pathlib import Path

import sentencepiece
from tokenizers import pre_tokenizers
from transformers import T5Tokenizer

SENTENCES = (
    "a woman dances on a neon street at night, rain on the asphalt, magenta and cyan light from the signs",
    "a man walks through a forest in the morning, soft light between the trees, mist over the ground",
    "a dancer in a red dress on a beach at sunset, warm light from the left, long shadows on the sand",
    "best quality, natural light, a street with old houses, clouds in the sky, a quiet evening by the sea",
    "lowres, bad anatomy, bad hands, cropped, worst quality, blurry, pixelated, overexposed, noisy, watermark",
)
EXTRA_IDS = 100  # <extra_id_0> .. <extra_id_99>, T5's sentinels


def t5_tokenizer(folder: Path, most_tokens: int, with_json: bool = False) -> int:
    """Writes a T5 tokenizer (also as tokenizer.json where asked); returns how many tokens it has."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4),
        model_writer=trained,
        model_type="unigram",
        vocab_size=256,
        hard_vocab_limit=False,
        required_chars=string.ascii_letters + string.digits + string.punctuation,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        num_threads=1,
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(trained.getvalue())
    sentinels = [f"<extra_id_{number}>" for number in range(EXTRA_IDS)]
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "additional_special_tokens": sentinels}
    settings = {**special, "extra_ids": EXTRA_IDS, "model_max_length": most_tokens, "tokenizer_class": "T5Tokenizer"}
    _write(folder / "special_tokens_map.json", special)
    _write(folder / "tokenizer_config.json", settings)
    tokenizer = T5Tokenizer.from_pretrained(folder)
    if with_json:
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    return len(tokenizer)


def clip_tokenizer(folder: Path) -> int:
    """Writes a CLIP tokenizer; returns how many tokens it has. The last two are start and end, as published."""
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = _merges({word for sentence in SENTENCES for word in re.findall("[a-z]+", sentence)})
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *(left + right for left, right in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    _write(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    _write(folder / "special_tokens_map.json", special)
    settings = {**special, "do_lower_case": True, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    _write(folder / "tokenizer_config.json", settings)
    return len(tokens)


def _merges(words: set[str]) -> list[tuple[str, str]]:
    """Merges that make one token of each word, from its start to its end."""
    merges: dict[tuple[str, str], None] = {}
    for word in sorted(words):
        left, *letters = [*word[:-1], word[-1] + "</w>"]
        for letter in letters:
            merges[left, letter] = None
            left += letter
    return list(merges)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
