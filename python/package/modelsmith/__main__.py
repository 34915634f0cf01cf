from modelsmith._command import main

main()
