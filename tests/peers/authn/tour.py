"""The official SDK's AuthN flow against the guarded dev server, and the access matrix."""

import access  # noqa: F401  (brings the cases of the matrix)
import flow  # noqa: F401  (brings those of the flow)
import world
from cases import main

try:
    main()
finally:
    world.clean_up()
