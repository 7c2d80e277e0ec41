"""A job as its store keeps it."""

import json

from jobs.serving.job import GenerationRequest, Job
from jobs.serving.sheet_options import SheetOptions
from samuel.generation import GenerationConfig


def test_a_job_comes_back_from_its_json_also_with_former_names() -> None:
    request = GenerationRequest((GenerationConfig(),), options=SheetOptions(bpm=92.0, chords="| Am | F |"))
    job = Job("1", request)
    text = json.dumps(job.to_json())
    assert Job.from_json(json.loads(text)) == job
    former = (
        text.replace('"options"', '"given"').replace('"configs"', '"recipes"').replace('"request"', '"order"')
    )
    assert former != text
    assert Job.from_json(json.loads(former)) == job
