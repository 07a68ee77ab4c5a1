# Symbols made to Procs: Ruby keeps the last ones.
STEP = ->(number) { "proc_of_#{number}".to_sym.to_proc }
