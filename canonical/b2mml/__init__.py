"""B2MML, the XML of ISA-95: V0401 to V0700 read, V0700 written.

"The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International."
"""

from canonical.b2mml.posting_document import Unwritable, performance
from canonical.b2mml.references import References, read_references
from canonical.b2mml.terms import Terms

__all__ = ["References", "Terms", "Unwritable", "performance", "read_references"]
