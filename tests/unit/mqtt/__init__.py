# A package, since test files of two folders are called alike.
