"""The base of models that are stored or sent."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class StoredModel(BaseModel):
    """A frozen model whose stored attribute names are in camel case."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)
