/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack verify: compare disks with their ledgers, any time later. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "batch.h"
#include "command.h"
#include "stages/stage.h"
#include "state.h"
#include "step.h"

#define NAMED 10 /* blocks a disk, in text */
#define DEADLINE_MS (30 * 60 * 1000)

struct options {
	const struct globals *globals;
	const char *plan, *against, *sample, *since, *output;
	bool repair;
	struct words vms, paths;
	struct proof_opts proof;
	struct bandwidth *bandwidth; /* shared by all disks that are read */
};

/* One disk, looked at by a child. */
struct looking {
	const struct batch_vm *v;
	const struct inv_disk *disk;
	size_t ndisk;
	char *step;		/* whose record this is: "verify/disk-0" */
	const json_t *recorded; /* what its copy recorded */
	struct proof_opts opts;
	struct bandwidth *bandwidth;
};

static int
look(void *arg, struct work_link *link, json_t **ret, struct err *err)
{
	struct looking *l = arg;
	struct work w = {
	    .view = &l->v->run.view,
	    .stage = &stage_verify,
	    .step = l->step,
	    .disk = l->disk,
	    .ndisk = l->ndisk,
	    .attempt = 1,
	    .recorded = l->recorded,
	    .bandwidth = l->bandwidth,
	    .doubts = history_doubts(l->v->run.state->history),
	    .link = link,
	};

	return proof_disk(&w, &l->opts, ret, err);
}

/* What makes of a replica something else, once it is begun. */
static void
find_change(const struct history *h, struct proof_opts *ret)
{
	static const char *const steps[][2] = {{"commit", "its commit"},
					       {"start", "the target's start"}};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct step_history *s = history_binding(h, steps[i][0]);

		if (!s || !s->begun || s->state == HISTORY_NEVER)
			continue;
		ret->changed = s->begun;
		ret->changed_by = steps[i][1];
		return;
	}
}

static void
add_record(struct vm_state *s, const char *step, const char *key, json_t *value)
{
	journal_add(s->journal, "record",
		    json_pack("{s:s, s:s, s:o}", "step", step, "key", key,
			      "value", value));
}

/* Which step is to copy what a repair that is cut short leaves uncopied: the
 * one behind the stop, or the one that copied it last, which may be that one
 * when the source was given back. */
static char *
copied_by(const struct batch_vm *v, const struct inv_disk *disk)
{
	const struct history *h = v->run.state->history;
	CLEANUP(mem_freep)
	char *warm = mem_printf("%s/%s", stage_precopy_copy.name, disk->id);
	char *cold = mem_printf("%s/%s", stage_copy.name, disk->id);
	const struct step_history *before = history_step(h, warm);
	const struct step_history *behind = history_step(h, cold);

	if (history_is_cut_over(h) || !before ||
	    (behind && behind->begun_seq > before->begun_seq))
		return cold;
	free(cold);
	return steal(&warm);
}

/* What is about to be mended was wrong already when these read it, however far
 * they came.  What rests on a conversion is done again with it. */
static void
void_readers(const struct batch_vm *v, const char *step)
{
	static const char *const readers[][2] = {
	    {"precopy-boot-test", "boot-test"}, {"precopy-convert", "convert"}};
	struct vm_state *s = v->run.state;
	bool converted = v->run.view.shape->converted;

	for (size_t i = 0; i < 2; i++)
		if (history_step(s->history, readers[converted][i]))
			add_record(s, step, WORK_VOID,
				   json_string(readers[converted][i]));
}

static bool
is_key(const json_t *record, const char *key)
{
	const char *its = json_string_value(json_object_get(record, "key"));

	return its && strcmp(its, key) == 0;
}

/* Of all that a look has to say the journal wants to know of its writing, and
 * what came of it. */
static int
keep_record(void *arg, const json_t *record, struct err *err)
{
	const struct looking *l = arg;
	struct vm_state *s = l->v->run.state;
	CLEANUP(mem_freep) char *copy = copied_by(l->v, l->disk);
	bool repairs = is_key(record, PROOF_REPAIRING);

	if (!repairs && !is_key(record, WORK_DIFFERS) &&
	    !is_key(record, WORK_AGREES))
		return 0;
	if (repairs) {
		void_readers(l->v, l->step);
		add_record(s, l->step, WORK_VOID, json_string(copy));
	}
	add_record(s, l->step,
		   json_string_value(json_object_get(record, "key")),
		   json_incref(json_object_get(record, "value")));
	return journal_sync(s->journal, err);
}

static int
look_at_disk(const struct batch_vm *v, struct looking *l, json_t **ret,
	     struct err *err)
{
	int64_t ms = v->run.view.plan->policy->deadlines.wait_ms;
	struct child_opts opts = {.keep_fd = v->run.state->writers,
				  .log_fd = v->run.log_fd,
				  .keep_record = keep_record,
				  .arg = l};
	CLEANUP(mem_freep) char *copy = mem_printf("cutover/%s", l->disk->id);
	const struct step_history *past =
	    history_past(v->run.state->history, copy);
	json_t *none = json_object();
	int rc;

	l->recorded = past ? past->recorded : none;
	find_change(v->run.state->history, &l->opts);
	rc = child_call(
	    &opts, look, l,
	    ms <= 0 ? DEADLINE_MS : (int)(ms < INT_MAX ? ms : INT_MAX), ret,
	    err);
	json_decref(none);
	return rc;
}

static int
write_down(const struct batch_vm *v, const struct looking *l,
	   const json_t *told, struct err *err)
{
	struct vm_state *s = v->run.state;
	CLEANUP(mem_freep) char *copy = copied_by(v, l->disk);
	const char *step = l->step;
	char when[CLOCK_TEXT_SIZE];
	json_t *value = json_copy((json_t *)told);

	json_object_del(value, "differing");
	json_object_set_new(value, "time",
			    json_string(clock_format(clock_wall_ms(), when)));
	if (strcmp(json_string_value(json_object_get(told, "result")),
		   "repaired") == 0)
		add_record(s, step, WORK_HOLDS, json_string(copy));
	add_record(s, step, "compared", value);
	return journal_sync(s->journal, err);
}

/* What it came to. */

static const char *
text_of(const json_t *told, const char *key)
{
	const char *text = json_string_value(json_object_get(told, key));

	return text ? text : "";
}

static json_int_t
number_of(const json_t *told, const char *key)
{
	return json_integer_value(json_object_get(told, key));
}

static int
code_of(const json_t *told)
{
	const char *result = text_of(told, "result");

	if (strcmp(result, "differs") == 0)
		return err_exit_code(ERR_MISMATCH);
	if (strcmp(result, "not-comparable") == 0)
		return err_exit_code(ERR_NOT_READY);
	return 0;
}

static void
print_differing(const json_t *told)
{
	json_t *all = json_object_get(told, "differing"), *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		if (i == NAMED) {
			printf(
			    "  ... and %lld more; -o json names %d\n",
			    (long long)(number_of(told, "mismatched") - NAMED),
			    PROOF_TOLD);
			return;
		}
		printf("  block %lld: bytes %lld to %lld\n",
		       (long long)number_of(one, "block"),
		       (long long)number_of(one, "offset"),
		       (long long)(number_of(one, "offset") +
				   number_of(one, "length") - 1));
	}
}

static void
print_sample(const json_t *told)
{
	const json_t *sample = json_object_get(told, "sample");

	if (sample)
		printf("  a sample: one bad block among the %lld would be "
		       "missed with a probability of %.3g\n",
		       (long long)number_of(told, "blocks"),
		       json_real_value(json_object_get(sample, "missOne")));
}

static void
print_not_comparable(const json_t *told)
{
	const char *since = text_of(told, "since");

	printf("not comparable%s%s: %s", *since ? " since " : "", since,
	       text_of(told, "why"));
	if (strcmp(text_of(told, "against"), "target") == 0)
		printf("; what the source has can be compared: "
		       "--against source");
	printf("\n");
}

static void
print_text(const char *vm, const json_t *told)
{
	const char *result = text_of(told, "result");

	printf("%s: %s, %s: ", vm, text_of(told, "disk"),
	       text_of(told, "against"));
	if (strcmp(result, "not-comparable") == 0) {
		print_not_comparable(told);
		return;
	}
	printf("%s (%lld of %lld blocks compared, %lld differ",
	       strcmp(result, "same") == 0 ? "as it was copied" : result,
	       (long long)number_of(told, "checked"),
	       (long long)number_of(told, "blocks"),
	       (long long)number_of(told, "mismatched"));
	if (number_of(told, "unreadable") > 0)
		printf(", %lld of them unreadable",
		       (long long)number_of(told, "unreadable"));
	printf(")");
	if (*text_of(told, "why"))
		printf(": %s", text_of(told, "why"));
	printf("\n");
	print_differing(told);
	print_sample(told);
}

/* Names come from the source; they do not command the terminal. */
static json_t *
error_json(const struct err *err)
{
	CLEANUP(mem_freep) char *text = redact_text(err->text);

	utf8_plain(text);
	return json_pack("{s:s, s:s}", "class", err_class_name(err->class),
			 "text", text);
}

static int
fail(const char *vm, const char *disk, const struct err *err, json_t *into)
{
	if (disk)
		complain("%s: %s: %s", vm, disk, err->text);
	else
		complain("%s: %s", vm, err->text);
	json_object_set_new(into, "error", error_json(err));
	return err_exit_code(err->class);
}

static int
verify_disk(const struct options *o, struct batch_vm *v, size_t n,
	    json_t *disks)
{
	const struct shape *shape = v->run.view.shape;
	struct looking l = {.v = v,
			    .disk = shape->disks[n].source,
			    .ndisk = n,
			    .opts = o->proof,
			    .bandwidth = o->bandwidth};
	CLEANUP(mem_freep) char *step = mem_printf("verify/%s", l.disk->id);
	const char *vm = v->run.pvm->key;
	json_t *told = NULL;
	struct err err = {0};
	int code = 0;

	l.step = step;
	if (look_at_disk(v, &l, &told, &err) < 0) {
		json_t *failed = json_pack("{s:s}", "disk", l.disk->id);

		json_array_append_new(disks, failed);
		return fail(vm, l.disk->id, &err, failed);
	}
	json_array_append(disks, told);
	if (!o->output || strcmp(o->output, "text") == 0)
		print_text(vm, told);
	code = code_of(told);
	if (write_down(v, &l, told, &err) < 0)
		code = exit_code_worse(code, fail(vm, NULL, &err, told));
	json_decref(told);
	return code;
}

static int
verify_vm(const struct options *o, struct batch_vm *v, json_t *vms)
{
	json_t *disks = json_array();
	json_t *one =
	    json_pack("{s:s, s:o}", "vm", v->run.pvm->key, "disks", disks);
	CLEANUP(mem_freep)
	char *args = words_again(&o->paths, o->plan, o->globals->state);
	int code = 0;

	json_array_append_new(vms, one);
	if (v->verdict == BATCH_FINISHED) {
		v->verdict = BATCH_BACK;
		err_set(&v->error, ERR_NOT_READY,
			"never begun, nothing to compare");
	}
	if (v->verdict == BATCH_BACK || batch_open_log(&v->run, &v->error) < 0)
		return fail(v->run.pvm->key, NULL, &v->error, one);
	for (size_t n = 0; n < v->run.view.shape->ndisks; n++)
		code = exit_code_worse(code, verify_disk(o, v, n, disks));
	if (code == err_exit_code(ERR_MISMATCH) && !o->repair &&
	    (!o->against || strcmp(o->against, "target") == 0))
		fprintf(stderr,
			"%s: to copy what differs from the source again: "
			"palletjack verify%s --vm %s --repair\n",
			v->run.pvm->key, args, v->run.pvm->key);
	return code;
}

static int
verify_batch(const struct options *o, struct batch *b)
{
	json_t *vms = json_array();
	json_t *all = json_pack("{s:i, s:o}", "version", 1, "vms", vms);
	int code = 0;

	for (size_t i = 0; i < b->nvms; i++)
		code = exit_code_worse(code, verify_vm(o, &b->vms[i], vms));
	if (o->output && strcmp(o->output, "json") == 0) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(all);
	return code;
}

static int
verify_plan(struct options *o, const struct session *s)
{
	struct err err;
	CLEANUP(mem_freep) char *root = state_root(o->globals->state, &err);
	struct batch_opts opts = {
	    .root = root, .only = o->vms.v, .take = true, .aim = AIM_VERIFY};
	struct batch *b = NULL;
	int code;

	if (!root)
		return complain_err(&err);
	o->bandwidth = bandwidth_new(&err);
	if (!o->bandwidth)
		return complain_err(&err);
	if (batch_open(s->manifest, s->plan, &opts, &b, &err) < 0)
		code = complain_err(&err);
	else
		code = verify_batch(o, b);
	batch_free(b);
	bandwidth_free(o->bandwidth);
	return code;
}

static int
verify(struct options *o)
{
	struct session s;
	int code = session_open(&s, &o->paths, false);

	if (code == 0)
		code = session_plan(&s, o->plan, true);
	if (code == 0)
		code = verify_plan(o, &s);
	session_close(&s);
	return code;
}

static int
wrong(const char *fmt, const char *word)
{
	complain(fmt, word);
	return -1;
}

static int
take_since(struct options *o)
{
	char *end;
	unsigned long g = strtoul(o->since, &end, 10);

	if (*o->since < '1' || *o->since > '9' || *end || g > UINT32_MAX)
		return wrong("verify: --since is the number of a generation, "
			     "not '%s'",
			     o->since);
	o->proof.scope = PROOF_SINCE;
	o->proof.since = (uint32_t)g;
	return 0;
}

static int
take_sample(struct options *o)
{
	struct err err;

	if (sample_parse(o->sample, &o->proof.sample, &err) < 0)
		return wrong("verify: %s", err.text);
	if (getrandom(&o->proof.seed, sizeof(o->proof.seed), 0) !=
	    sizeof(o->proof.seed))
		return wrong("verify: %s", "there is no chance to be had");
	o->proof.seed >>= 11; /* what any reader of JSON can hold */
	o->proof.scope = PROOF_SAMPLE;
	return 0;
}

static int
check_options(struct options *o)
{
	if (o->output && strcmp(o->output, "text") && strcmp(o->output, "json"))
		return wrong("verify: -o is text or json, not '%s'", o->output);
	if (o->against && strcmp(o->against, "target") &&
	    strcmp(o->against, "source"))
		return wrong("verify: --against is target or source, not '%s'",
			     o->against);
	o->proof.of_source = o->against && strcmp(o->against, "source") == 0;
	o->proof.repair = o->repair;
	if (o->repair && o->proof.of_source)
		return wrong("verify: %s", "the source is never written: "
					   "--repair mends the target");
	if (o->sample && o->since)
		return wrong("verify: %s", "--sample and --since are two "
					   "answers to one question");
	if (o->since && take_since(o) < 0)
		return -1;
	return o->sample ? take_sample(o) : 0;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	struct options o = {.globals = g};
	const struct option_spec specs[] = {
	    {"--plan", OPTION_TEXT, &o.plan},
	    {"--vm", OPTION_LIST, &o.vms},
	    {"--against", OPTION_TEXT, &o.against},
	    {"--sample", OPTION_TEXT, &o.sample},
	    {"--since", OPTION_TEXT, &o.since},
	    {"--repair", OPTION_FLAG, &o.repair},
	    {"-o", OPTION_TEXT, &o.output},
	    {0},
	};
	int rc = options_parse(&command_verify, specs, argc, argv, &o.paths);

	if (rc == 0)
		rc = check_options(&o);
	rc = rc ? (rc < 0 ? 2 : 0) : verify(&o);
	words_done(&o.paths);
	words_done(&o.vms);
	return rc;
}

const struct command command_verify = {
    .name = "verify",
    .changes = true,
    .summary = "compare disks with what was copied, any time later",
    .usage = "[--plan NS/NAME] [--vm NAME]... [--against target|source]\n"
	     "           [--since GENERATION | --sample SAMPLE] [--repair] "
	     "[-o text|json] PATH...",
    .help =
	"  --plan NS/NAME     needed when the manifest holds several\n"
	"  --vm NAME          only this vm of the plan; may be repeated\n"
	"  --against END      target (default), or source: does it still have "
	"what was copied?\n"
	"  --since N          only blocks copied in generation N or later\n"
	"  --sample 10%       so many of the blocks, drawn at random\n"
	"  --sample 99%:20    as many as it takes to find out, with a "
	"probability of 99 %,\n"
	"                     that 20 blocks are bad; of n blocks and m "
	"drawn, k bad ones are\n"
	"                     missed with (n-m)(n-m-1).../(n)(n-1)..., k "
	"factors each\n"
	"  --repair           what differs on the target is copied again from "
	"the source\n"
	"  -o text|json       how the result is printed; json names up to "
	"1000 blocks a disk\n\n"
	"The disks are read past the caches and compared with the digests in "
	"the ledgers. From\nthe beginning of its commit or its start on a "
	"target's disk is no replica any more: it\nis not comparable since "
	"then, and the source may be asked instead. --repair is refused\n"
	"from then on, where a hand-over mark stands, and when the source "
	"changed since; what was\nconverted of damaged blocks, or booted, is "
	"by the next run again, even if the\nrepair was cut short. A target's "
	"disk that differs is in doubt, and nothing is made of\nit, until all "
	"of it was read back without a difference, by this command or a run,\n"
	"repaired by one without --since and --sample, or copied anew.\n\n"
	"Exit code: 0 as copied, or repaired; 8 something differs; 3 "
	"something could not be\ncompared; 4 a run works on the vm; 5 an end "
	"could not be reached, read or, with\n--repair, written, and may be "
	"later; 6 likewise, and will not be until that is mended.\n",
    .run = run,
};
