"""Writes a small BERT with random numbers into a folder. Run in the environment of infinity, which has what it needs."""

import string
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

LENGTH = 128

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
letters = string.ascii_lowercase + string.digits + string.punctuation
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
(folder / "vocab.txt").write_text("\n".join(words))
torch.manual_seed(7)
BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LENGTH).save_pretrained(folder)
shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
config = BertConfig(vocab_size=len(words), max_position_embeddings=LENGTH, initializer_range=0.2, **shape)
BertModel(config).save_pretrained(folder)
