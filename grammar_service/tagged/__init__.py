"""Tagged grammars: free text in which certain strings open constrained parts."""
