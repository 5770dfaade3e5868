"""Known items: titles, headings and sentences that ask for their own documents, masked in what is searched."""
