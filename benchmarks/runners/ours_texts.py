"""Our text classifier, trained plainly and robustly in one track; in PyTorch also the Trainer of Hugging Face."""

import importlib
import os
import tempfile
import time

from serve import serve

from advrec_teach import data, texts

TRACK = os.environ["ADVREC_TRACK"]
RATE = 1e-5
advrec = importlib.import_module(f"advrec_teach.{TRACK}")
state = {}


def load(layers, widths, count):
    """Make the model, and the same texts cut to each of some widths."""
    advrec.setup(lesson="15", profile="quick", seed=0)
    frame = texts.split_by_product(texts.labelled_reviews(data.reviews()), seed=0).train.head(count)
    for width in widths:
        state[width] = texts.encode(frame["text"].to_list(), frame["label"].to_numpy(), max_length=width)
    state["layers"], state["model"] = layers, advrec.TextClassifier(layers=layers, seed=0)


def steps(method, width, batch, count):
    """Train for some steps, always on the same batches; return the seconds of one, the first left out."""
    settings = {"steps": count, "rate": RATE, "batch_size": batch, "evaluate_every": 1, "seed": 0}
    if method == "plain":
        history = advrec.fit_text_classifier(state["model"], state[width], **settings)
    else:
        history = advrec.fit_robust_text(state["model"], state[width], defence=method, eps=0.3, **settings)
    return sum(record["seconds"] for record in history[1:]) / (count - 1)


def trainer(width, batch, count):
    """Do the same with the Trainer as it comes: float32, each text padded to the full width, all weights trained."""
    import transformers

    ends = []

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *arguments, **given):
            ends.append(time.perf_counter())

    if "peer" not in state:
        config = transformers.BertConfig.from_json_file(data.minilm_path() / "config.json")
        config.num_hidden_layers, config.num_labels = state["layers"], 2
        state["peer"] = transformers.BertForSequenceClassification(config)
    part = state[width]
    rows = [
        {"input_ids": ids, "attention_mask": (ids != texts.PADDING).astype(int), "labels": int(label)}
        for ids, label in zip(part.ids, part.labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=batch,
            max_steps=count,
            learning_rate=RATE,
            seed=0,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        transformers.Trainer(state["peer"], arguments, train_dataset=rows, callbacks=[Clock()]).train()
    return (ends[-1] - ends[0]) / (count - 1)


if __name__ == "__main__":
    serve({"load": load, "steps": steps, "trainer": trainer})
