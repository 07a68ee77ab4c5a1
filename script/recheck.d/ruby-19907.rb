def takes(a:) = a
measure("eval('takes(a: 1)')") { eval('takes(a: 1)') }
