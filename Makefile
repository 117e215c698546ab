# The two commands: make run, make test. All others are parts of them or tools round them; make help lists them.

PYTHON_BIN := .venv/bin/python
STATE ?= $(if $(filter real,$(WHATSAPP)),.local-real,.local)
STAGE ?= dev
RUN_OPTIONS = --state "$(STATE)" \
	$(if $(PORT),--port $(PORT)) \
	$(if $(PHONES_PORT),--phones-port $(PHONES_PORT)) \
	$(if $(WHATSAPP),--whatsapp $(WHATSAPP)) \
	$(if $(filter-out 0,$(FRESH)),--fresh) \
	$(if $(filter-out 0,$(RESUME)),--resume)

.DEFAULT_GOAL := help
.PHONY: help setup run stop receiver admin-key phones tour \
	test test-fast test-e2e lint format layers synth bootstrap diff deploy destroy verify-aws snapshots image bench soak chaos lock settings-page clean

help: ## list the commands
	@printf 'Recado: two commands are enough on a fresh machine: make run, make test\n\n'
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@printf '\n  make run PORT=8080 WHATSAPP=simulated|real FRESH=1|RESUME=1 STATE=.local\n'

setup: ## make the virtual environments; the others do this by themselves
	@PYTHON="$(PYTHON)" sh local/setup.sh

run: setup ## run the whole platform here; Ctrl-C stops it, the next run carries on
	@exec $(PYTHON_BIN) -m local.stack $(RUN_OPTIONS)

stop: setup ## stop the platform that runs in another terminal
	@$(PYTHON_BIN) -m local.stack --state "$(STATE)" --stop

receiver: setup ## print webhooks that arrive on 127.0.0.1:8070, with their signatures verified
	@exec $(PYTHON_BIN) -m local.receiver --env "$(STATE)/env" $(if $(RECEIVER_PORT),--port $(RECEIVER_PORT))

admin-key: ## print the platform's key of the running stack
	@. "./$(STATE)/env" && printf '%s\n' "$$RECADO_ADMIN_KEY"

phones: ## list the simulated phones of the running stack
	@. "./$(STATE)/env" && printf '%s\n' "$$PHONES_URL" && curl -sS "$$PHONES_URL/phones" \
		| $(PYTHON_BIN) -c 'import json, sys; [print("  +" + p["number"], p["kind"], p["name"]) for p in json.load(sys.stdin)]'

tour: setup ## type the README's tour and check every answer
	@exec $(PYTHON_BIN) -m local.tour --state "$(STATE)" $(if $(RECEIVER_PORT),--receiver-port $(RECEIVER_PORT))

test: setup ## pass every test: style and types, then the fast ones, then those with real processes
	@$(MAKE) --no-print-directory lint test-fast test-e2e

test-fast: setup ## the tests without real processes
	$(PYTHON_BIN) -m pytest tests -n auto -m "not e2e and not chaos"

test-e2e: setup ## the tests with real processes: emulator, simulator, client
	$(PYTHON_BIN) -m pytest tests -m "e2e or chaos"

lint: setup ## style, types, who may import whom, and the Dockerfile
	$(PYTHON_BIN) -m ruff check .
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m mypy .
	$(PYTHON_BIN) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	.venv/bin/hadolint session_runner/Dockerfile

format: setup ## put the code into shape
	$(PYTHON_BIN) -m ruff check --fix .
	$(PYTHON_BIN) -m ruff format .

layers: setup ## build the third-party layer, for AWS and for this machine
	$(PYTHON_BIN) -m infra.layers aws
	$(PYTHON_BIN) -m infra.layers native --python .venv-emulator/bin/python

synth: layers ## write the CloudFormation templates of STAGE into cdk.out
	JSII_NODE="$$($(PYTHON_BIN) -m local.node)" CDK_OUTDIR=cdk.out CDK_CONTEXT_JSON='{"stage":"$(STAGE)"}' \
		$(PYTHON_BIN) -m infra.app

bootstrap: layers ## prepare the AWS account of your credentials for deployments, once per account and region
diff: layers ## compare STAGE with what is deployed in that account
deploy: layers ## deploy STAGE into that account; read docs/deploy.md first
destroy: layers ## remove STAGE from it; tables, buckets and key stay where the stage keeps its data
bootstrap diff deploy destroy:
	@exec $(PYTHON_BIN) -m infra.command_line $@ --stage $(STAGE)

verify-aws: setup ## look at STAGE in that account: what only a real one proves (CHECKS="fence …" DISTURB=1)
	@$(PYTHON_BIN) -m infra.verification --stage $(STAGE) $(if $(filter-out 0,$(DISTURB)),--disturb) $(CHECKS)

snapshots: setup ## write the reviewed snapshots of the production templates anew
	@$(PYTHON_BIN) -m tests.infra.template_snapshots

image: setup ## build the runner's image with buildah, start it here and pair a phone with it; needs root
	$(PYTHON_BIN) -m local.image --options '$(IMAGE_OPTIONS)' $(if $(BASE_PYTHON),--base-python $(BASE_PYTHON))
	$(PYTHON_BIN) -m pytest tests/e2e/image

bench: setup ## measure latency, AWS calls, a host kill and idle sessions; needs a quiet machine
	@exec $(PYTHON_BIN) -m tests.bench

soak: setup ## let two clinics talk both ways for minutes; every record must agree to the message
	@exec $(PYTHON_BIN) -m tests.bench.soak

chaos: setup ## kill, freeze and cut off parts of the platform, and account for every message (CHAOS="--host-kills 100 …")
	@exec $(PYTHON_BIN) -m tests.chaos $(CHAOS)

lock: setup ## lock the newest versions that requirements/*.in allow
	$(PYTHON_BIN) -m local.lock

settings-page: setup ## write docs/settings.md from the classes that read the settings
	$(PYTHON_BIN) -m local.settings_page

clean: ## remove what was built; the state of make run (.local) stays
	rm -rf build cdk.out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
