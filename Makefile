# palletjack: settings first, then what to build, then what to run.
#
#   make            the program                 make check      the tests
#   make deps       install what is missing     make demo       migrate a real VM
#   make install    PREFIX=/usr/local DESTDIR=  make bench      figures
#   make clean      SANITIZE=address,undefined  V=1 shows the commands

-include config.mak

PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PKGS = yaml-0.1 jansson openssl libnbd libxxhash lua5.4 libxml-2.0

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -Irunner -I. -I$(B) $(WARN) \
	-fstack-protector-strong -pthread $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now $(LDFLAGS)
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lm

ifdef SANITIZE
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
endif

comma = ,
B ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))

# bottom layer first: the list shows the direction of the includes
ROOMS = runner/base runner/io manifests lua stages/copy stages/source \
	stages/target stages runner
SRC = $(wildcard $(addsuffix /*.c,$(ROOMS)))
OBJ = $(SRC:%.c=$(B)/%.o)
UNIT = $(patsubst %.c,$(B)/%,$(wildcard t/unit/*.c))

say = $(if $(V),,@echo '  $(1)' $(subst $(B)/,,$@);)

all: $(B)/palletjack

$(B)/palletjack: $(OBJ)
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/t/unit/%: $(B)/t/unit/%.o $(B)/t/tap.o \
		$(filter-out $(B)/runner/main.o,$(OBJ))
	$(call say,LINK)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

# what some tests need beside tap
$(addprefix $(B)/t/unit/,copy verify copy_crash): $(B)/t/disk.o
$(B)/t/unit/copy_crash: $(B)/t/powercut.o

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  )$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

clean:
	rm -rf build build-*

-include $(OBJ:.o=.d) $(UNIT:=.d)
.PHONY: all clean
.SECONDARY:
