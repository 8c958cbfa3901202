"""Everything that the server process of `isolate` imports before it is asked for the first child."""

from service.startup import started, starting

starting()

import service.untrusted  # noqa: E402, F401 - between the two calls is the point

started()
