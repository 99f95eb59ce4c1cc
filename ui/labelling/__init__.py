"""The Label Objects dock: classes, drawing tools and the samples drawn with them."""
