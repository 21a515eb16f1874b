-- SPDX-License-Identifier: Apache-2.0
-- Raises an error that is no text for a journal.
-- wants: fail: demo/evil': ??? next line
error("\xff\xfe\xfd\nnext line", 0)
