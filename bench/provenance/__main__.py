if __name__ == "__main__":  # the limited processes import this module too, and must start fast
    from bench.provenance.cli import main

    raise SystemExit(main())
