# palletjack: settings first, then what to build, then what to run.
#
#   make            the program                 make check        the tests
#   make deps       install what is missing     make check-guest  a real guest
#   make check-long a thousand kills            make bench        figures
#   make demo       migrate a real VM           make clean
#   make install    PREFIX=/usr/local DESTDIR=
#
# SANITIZE=address,undefined builds beside the normal build; V=1 shows the
# commands; PROVE_OPTS=-v the tests' own lines, PROVE_OPTS=--timer their time.

-include config.mak

PREFIX ?= /usr/local
DOCDIR ?= $(PREFIX)/share/doc/palletjack
CFLAGS ?= -O2 -g
PKGS = yaml-0.1 jansson openssl libnbd libxxhash lua5.4 libxml-2.0
# "no" builds without that endpoint, as where it is not installed
LIBVIRT ?= $(shell pkg-config --exists libvirt && echo yes || echo no)

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -Irunner -I. -I$(B) $(WARN) \
	-fstack-protector-strong -pthread $(PKG_CFLAGS) $(CFLAGS)
ifeq ($(LIBVIRT),yes)
ALL_CFLAGS += -DHAVE_LIBVIRT
# its headers only: the library is loaded when an endpoint needs it
HEADERS = libvirt
endif
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now $(LDFLAGS)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) $(HEADERS))
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lm $(LATER_LIBS)

ifdef SANITIZE
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
ifeq ($(LIBVIRT),yes)
# A sanitizer stands before its xdr_*(), and knows only those that are there from
# the start: libvirt, which is loaded later, would call nothing.
LATER_LIBS = -Wl,--no-as-needed -l:libtirpc.so.3
endif
endif

comma = ,
B ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))

# bottom layer first: the list shows the direction of the includes
ROOMS = runner/base runner/io manifests lua stages/copy stages/source \
	stages/target stages runner
# what speaks to libvirt; two files only read a domain's XML
WITH_LIBVIRT = $(filter-out %/libvirt_links.c %/libvirt_xml.c, \
	$(wildcard $(addsuffix /libvirt*.c,$(ROOMS))))
SRC = $(filter-out $(if $(filter yes,$(LIBVIRT)),,$(WITH_LIBVIRT)), \
	$(wildcard $(addsuffix /*.c,$(ROOMS))))
OBJ = $(SRC:%.c=$(B)/%.o)
UNIT = $(patsubst %.c,$(B)/%,$(wildcard t/unit/*.c))

say = $(if $(V),,@echo '  $(1)' $(subst $(B)/,,$@);)

all: $(B)/palletjack

# "yes" or "no"; another than what was built with: what depends on it is made anew
BUILT_WITH = $(B)/with-libvirt
$(BUILT_WITH): always
	@mkdir -p $(@D); echo $(LIBVIRT) | cmp -s - $@ || echo $(LIBVIRT) >$@
$(B)/stages/source/source.o $(B)/t/unit/libvirt.o: $(BUILT_WITH)

$(B)/palletjack: $(OBJ) $(BUILT_WITH)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $(OBJ) $(LDLIBS)

# an archive, so that a test may bring stand-ins for what it does not test
$(B)/palletjack.a: $(filter-out $(B)/runner/main.o,$(OBJ)) $(BUILT_WITH)
	$(call say,AR  )rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(B)/t/unit/%: $(B)/t/unit/%.o $(B)/t/tap.o $(B)/palletjack.a
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) \
		$(B)/palletjack.a $(LDLIBS)

# what some tests need beside tap
$(addprefix $(B)/t/unit/,copy verify copy_crash copy_errors checkpoint copy_waits delta repair writeback): $(B)/t/disk.o
$(B)/t/unit/copy_crash: $(B)/t/powercut.o
$(B)/t/unit/predict_writers: $(B)/t/oracle.o
$(B)/t/unit/runs: $(addprefix $(B)/t/,clock.o inline.o inline_journal.o oracle.o)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  )$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The prelude becomes the bytes of an array that lua/host.c includes.
$(B)/lua/prelude.inc: lua/prelude.lua
	@mkdir -p $(@D)
	$(call say,GEN )od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' >$@

$(B)/lua/host.o: $(B)/lua/prelude.inc

# What is missing is installed first; DEPS=no leaves that to you.
deps:
	@test "$(DEPS)" = no || t/deps.sh

TEST_ENV = PALLETJACK="$(CURDIR)/$(B)/palletjack"
PROVE = $(TEST_ENV) prove -e '' $(PROVE_OPTS)

# Two tests more than there are cores, as they wait more than they compute; the
# shell tests first and from the last, as those wait longest: they should not
# be what is waited for in the end.  PROVE_OPTS=-j1 runs one at a time.
check: override PROVE_OPTS := -j$(shell expr $$(nproc) + 2) $(PROVE_OPTS)
check: deps
	@$(MAKE) --no-print-directory all units
	$(PROVE) $$(ls -r t/*.t) $(UNIT)

# A real guest: built, converted by virt-v2v, booted, killed and resumed, and
# moved while it runs; says what that cost.
check-guest: deps
	@$(MAKE) --no-print-directory all units
	$(PROVE) -v t/guest/*.t

# What takes its time: random kills and the whole crash matrix; SEED repeats.
check-long: deps
	@$(MAKE) --no-print-directory all units
	LONG=1 ROUNDS=1000 $(PROVE) -v t/long/*.t t/3401-*.t \
		t/3014-*.t t/3404-*.t t/3405-*.t t/3406-*.t t/3411-*.t \
		t/3412-*.t t/4022-*.t t/42*.t t/512*-*.t t/5303-*.t $(B)/t/unit/repair \
		$(B)/t/unit/runs

check-all: check check-guest check-long

demo: deps
	@$(MAKE) --no-print-directory all
	$(TEST_ENV) examples/demo.sh

# About eight minutes; QUICK=1 one or two.  Also build/bench/*.json.  Figures
# that missed what was wanted of them are named in the end.
bench: deps
	@$(MAKE) --no-print-directory all $(B)/t/fault.so
	$(TEST_ENV) t/bench/bench.sh

units: $(UNIT) $(addprefix $(B)/t/,fault.so cut.so clock.so passwd.so strike \
	ledger_says) \
	$(if $(wildcard /usr/include/nbdkit-plugin.h),$(B)/t/nbdkit_cut.so)

# What a ledger claims, held against the disks; for tests.
$(B)/t/ledger_says: $(B)/t/ledger_says.o $(B)/palletjack.a
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

# Preloaded by tests; sanitizers have no business in it.
$(B)/t/%.so: t/%.c
	@mkdir -p $(@D)
	$(call say,CC  )$(CC) -O2 -fPIC -shared -pthread -D_GNU_SOURCE -I. \
		-o $@ $<

# A power cut for whole runs.
$(B)/t/cut.so $(B)/t/strike.o: t/cut.h
$(B)/t/strike: $(B)/t/strike.o
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(DOCDIR)/manifests \
		$(DESTDIR)$(DOCDIR)/lua $(DESTDIR)$(DOCDIR)/examples
	install -m 0755 $(B)/palletjack $(DESTDIR)$(PREFIX)/bin/palletjack
	install -m 0644 README.md LICENSE $(DESTDIR)$(DOCDIR)
	install -m 0644 manifests/FORMAT.md $(DESTDIR)$(DOCDIR)/manifests
	install -m 0644 lua/API.md $(DESTDIR)$(DOCDIR)/lua
	cp -R manifests/schema $(DESTDIR)$(DOCDIR)/manifests
	cp -R examples/*/ $(DESTDIR)$(DOCDIR)/examples

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/palletjack
	rm -rf $(DESTDIR)$(DOCDIR)

clean:
	rm -rf build build-*

-include $(OBJ:.o=.d) $(UNIT:=.d) $(wildcard $(B)/t/*.d)
.PHONY: all always units deps check check-guest check-long check-all demo \
	bench install uninstall clean
.SECONDARY:
