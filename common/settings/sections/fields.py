"""What the sections of the settings are made of."""

import os
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# Upper bounds that no honest value reaches: behind them numbers no longer fit Redis' own.
Finite = Annotated[float, Field(ge=-1e9, le=1e9)]
Seconds = Annotated[float, Field(gt=0, le=1e9)]
Count = Annotated[int, Field(ge=1, le=10**12)]
# A file or folder of this host, or a name beside it; unlike pathlib's, this leaves a ~ that is
# nobody's home as it is, and what is opened there is not found.
HostPath = Annotated[str, AfterValidator(os.path.expanduser)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class Section(BaseModel):
    # a misspelt name must not be silently without effect
    model_config = ConfigDict(extra="forbid", frozen=True)
