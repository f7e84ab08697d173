"""Sentences in the data folder, and the tokens that BERT makes of them."""

import re
import unicodedata

import keras
import numpy as np

from .sources import FOLDER_VARIABLE, data_folder

START, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"


class WordPieces:
    """Splits sentences into pieces of words, lower case and without accents.

    The tokenizer of Devlin et al. 2019 (arXiv 1810.04805): from the left, the
    longest piece that the vocabulary has; a word that cannot be split so is
    unknown.

    Args:
        vocabulary: The pieces in the order of their ids; those that go on
            with a word start with `##`.
    """

    def __init__(self, vocabulary):
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}

    def ids(self, sentence):
        """The ids of a sentence, between those of its start and its end.

        Args:
            sentence: The text.
        """
        letters = unicodedata.normalize("NFD", sentence.lower())
        plain = "".join(x for x in letters if unicodedata.category(x) != "Mn")
        # Punctuation, the underscore among it, stands alone.
        words = re.findall(r"[^\W_]+|[^\w\s]|_", plain)
        pieces = [START, *(p for word in words for p in self._split(word))]
        return [self._ids[piece] for piece in (*pieces, END)]

    def batch(self, sentences, length):
        """Ids and masks of sentences, as the encoder takes them.

        Args:
            sentences: The texts.
            length: Tokens of each; what is longer is cut before its end.
        """
        ids = np.zeros((len(sentences), length), "int32")
        mask = np.zeros((len(sentences), length), "float32")
        for row, sentence in enumerate(sentences):
            own = self.ids(sentence)
            own = [*own[: length - 1], own[-1]] if len(own) > length else own
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        return {"ids": ids, "mask": mask}

    def _split(self, word):
        pieces, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in self._ids:
                    break
            else:
                return [UNKNOWN]
            pieces.append(piece)
            start = end
        return pieces


class SentenceBatches(keras.utils.PyDataset):
    """Batches of sentences of about one length, so that little is padded.

    Args:
        pieces: The tokenizer.
        sentences: The texts.
        length: Most tokens of a sentence; what is longer is cut.
        batch_size: Sentences in a batch; the last one may hold fewer.
        seed: Seed of the order, None for one from short to long.
    """

    def __init__(self, pieces, sentences, length, batch_size, seed=None):
        super().__init__()
        whole = pieces.batch(sentences, length)
        own = whole["mask"].sum(1)
        if seed is None:
            order = np.argsort(own, kind="stable")
        else:
            rng = np.random.default_rng(seed)
            order = np.lexsort((rng.random(len(own)), own))
        starts = range(0, len(order), batch_size)
        self.chosen = [order[at : at + batch_size] for at in starts]
        if seed is not None:
            rng.shuffle(self.chosen)
        self._whole = whole

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, index):
        chosen = self.chosen[index]
        longest = int(self._whole["mask"][chosen].sum(1).max())
        return {
            name: array[chosen, :longest] for name, array in self._whole.items()
        }


def word_pieces(smoke=False):
    """The tokenizer of the pretrained encoder.

    Args:
        smoke: Whether letters will do where the vocabulary is not there.
    """
    path = data_folder() / "weights" / "minilm_vocab.txt"
    if smoke and not path.is_file():
        letters = [chr(code) for code in range(33, 127)]
        return WordPieces(
            [START, END, UNKNOWN, *letters, *(f"##{x}" for x in letters)]
        )
    return WordPieces(_text(path).split("\n"))


def sentiments(part, smoke=False):
    """Sentences of SST-2 and whether they are positive.

    Socher et al. 2013, the Stanford Sentiment Treebank.

    Args:
        part: `"train"`, `"dev"` or `"test"`.
        smoke: Whether made-up ones will do where the file is not there.

    Returns:
        A list of texts, and an array of 0 and 1.
    """
    path = data_folder() / "text" / f"sst2_{part}.tsv"
    if smoke and not path.is_file():
        texts = ["a fine film", "a dull film"] * 32
        return texts, np.arange(len(texts)) % 2 == 0
    rows = [line.rsplit("\t", 1) for line in _text(path).splitlines() if line]
    texts, labels = zip(*rows, strict=True)
    return list(texts), np.array(labels, int)


def shakespeare(smoke=False):
    """Plays of Shakespeare, a million characters.

    Karpathy 2015, "The unreasonable effectiveness of recurrent neural
    networks", for the choice.

    Args:
        smoke: Whether a made-up text will do where the file is not there.
    """
    path = data_folder() / "text" / "tinyshakespeare.txt"
    if smoke and not path.is_file():
        return "to be or not to be, that is the question. " * 16
    return _text(path)


def _text(path):
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.name} was not found. Received: no file {path}. Put it "
            f"there, or name another data folder in {FOLDER_VARIABLE}."
        )
    return path.read_text(encoding="utf-8")
