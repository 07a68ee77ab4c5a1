# A leak into a list that grows the symbol table, too.
SYMBOLS = []
STEP = ->(number) { SYMBOLS << "a symbol with a rather long name, number #{number}".to_sym }
