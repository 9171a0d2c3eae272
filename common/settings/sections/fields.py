"""Types of fields that the sections of the settings share."""

import os
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# No sensible value reaches these upper bounds; larger numbers do not fit into Redis.
Finite = Annotated[float, Field(ge=-1e9, le=1e9)]
Seconds = Annotated[float, Field(gt=0, le=1e9)]
Count = Annotated[int, Field(ge=1, le=10**12)]
# A file or folder of this host, or a name. A ~ that is nobody's home stays as it is (pathlib would
# raise an error), and opening such a path fails with "not found".
HostPath = Annotated[str, AfterValidator(os.path.expanduser)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class Section(BaseModel):
    # refuse misspelt names: they would have no effect, and nobody would notice
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
