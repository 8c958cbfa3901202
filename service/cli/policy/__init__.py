"""`assay policy`: check a policy, run its tests, try a prompt against it, and read what it decided."""

import typer

from service.cli.policy import bench, bundle, check, history, log, tryout

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(check.lint)
app.command(name="test")(check.run_tests)
app.command()(check.schema)
app.command(name="try")(tryout.try_)
app.command()(bench.bench)
app.command()(history.explain)
app.command()(history.replay)
app.command()(history.diff)
app.command()(history.report)

log_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
log_app.command(name="verify")(log.verify_log)
app.add_typer(log_app, name="log", help="Examine decision logs.")

bundle_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
bundle_app.command()(bundle.sign)
bundle_app.command()(bundle.verify)
app.add_typer(bundle_app, name="bundle", help="Sign policies and check signed ones.")

vault_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
vault_app.command(name="keys")(history.vault_keys)
app.add_typer(vault_app, name="vault", help="The encrypted vault of prompts.")
