# Builds, tests, installs. `make help` says what there is. Each `?=` may be set
# on the command line or in the environment: make LUA=luajit CC=clang WERROR=1

LUA        ?= lua5.4
NVIM_LUA   ?= luajit
PREFIX     ?= /usr/local
DESTDIR    ?=
CFLAGS     ?= -O2 -g
CPPFLAGS   ?=
LDFLAGS    ?=
WERROR     ?=
SANITIZE   ?=
PKG_CONFIG ?= pkg-config
BUILD      ?= build/$(notdir $(lastword $(LUA)))$(if $(SANITIZE),-sanitized)
# By one name, whoever asks, or what depends on a header would not be known.
override BUILD := $(patsubst $(CURDIR)/%,%,$(BUILD))
SPECS      ?= spec
WRAP       ?=
C_BUILD    ?= build/c
C_SANITIZE ?= address,undefined
SECONDS    ?= 60
STEPS      ?= 10000
DIR        ?=
ARGS       ?=
URL        ?=
CJSON      ?=
QUICK      ?=
RECORD     ?=
CURL       ?=
V          ?=

# What is asked of another program is asked when first used, then kept, so that
# `make help` and `make setup` work where that program is still missing.
ask = $(eval $(1) := $(shell $(2) 2>/dev/null))$($(1))

# As the shell reads it: a path may have blanks.
quoted = '$(subst ','\'',$(1))'
RUN_LUA = $(call quoted,$(LUA))

# "5.4", and pkg-config's names for this Lua on the common systems.
LUA_V    ?= $(call ask,LUA_V,$(RUN_LUA) -e 'print((_VERSION:match("%d.%d")))')
LUA_PCS   = $(if $(findstring luajit,$(LUA)),luajit,\
            lua$(LUA_V) lua-$(LUA_V) lua$(subst .,,$(LUA_V)) lua)
LUA_PC   ?= $(call ask,LUA_PC,for p in $(LUA_PCS); do \
            $(PKG_CONFIG) --exists "$$p$(LUA_RANGE)" && echo "$$p" && break; \
            done)
LUA_RANGE = $(if $(findstring luajit,$(LUA)),, >= $(LUA_V) $$p < $(LUA_V).99)
# Headers beside a Lua that is named by its path come before pkg-config's.
LUA_BESIDE = $(if $(findstring /,$(LUA)),$(call ask,LUA_BESIDE,cd "$$(dirname $(RUN_LUA))" && \
            for d in $(if $(findstring luajit,$(LUA)),luajit-2.1,lua$(LUA_V)) .; do \
            echo 'int v[LUA_VERSION_NUM == $(subst .,0,$(LUA_V)) ? 1 : -1];' | \
            $(CC) -I../include/$$d -include lua.h -fsyntax-only -x c - && \
            (cd ../include/$$d && echo -I"$$PWD") && break; done))
LUA_CFLAGS  ?= $(or $(LUA_BESIDE),$(call ask,LUA_PC_CFLAGS,$(PKG_CONFIG) \
            --cflags $(need_lua_pc)))
CURL_CFLAGS ?= $(call ask,CURL_CFLAGS,$(PKG_CONFIG) --cflags libcurl)

need_lua_v  = $(or $(LUA_V),$(error LUA=$(LUA): there is no such Lua here. \
              Choose one, as in `make LUA=lua5.3`, or try `make setup`))
need_lua_pc = $(or $(if $(need_lua_v),$(LUA_PC)),$(error LUA=$(LUA): pkg-config \
              knows no headers for it. Try `make setup LUA=$(LUA)`))

# A relative PREFIX is seen from here.
override PREFIX := $(if $(filter-out /%,$(firstword $(PREFIX))),$(CURDIR)/)$(PREFIX)
LUADIR  ?= $(PREFIX)/share/lua/$(need_lua_v)
LIBDIR  ?= $(PREFIX)/lib/lua/$(need_lua_v)
BINDIR  ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
  -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wundef \
  -Wvla -Wformat=2 -Wnull-dereference $(if $(WERROR),-Werror)
SANITIZERS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) \
  -fno-sanitize-recover=all -fno-omit-frame-pointer)
C_STD   = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
C_FLAGS = $(C_STD) $(WARNINGS) $(SANITIZERS) $(CPPFLAGS) $(CFLAGS)
OBJ_FLAGS = $(C_FLAGS) -fPIC -fvisibility=hidden -pthread \
  $(LUA_CFLAGS) $(CURL_CFLAGS)

# libcurl is opened at first use by src/libcurl.c, liblua is the host's own.
ifeq ($(shell uname -s),Darwin)
  LIBFLAG ?= -bundle -undefined dynamic_lookup
  LIBS    ?=
else
  LIBFLAG ?= -shared -Wl,-z,nodelete -Wl,--version-script=src/core.map
  LIBS    ?= $(if $(filter Linux,$(shell uname -s)),-ldl)
endif

# What needs neither Lua nor curl: C tests and fuzzers are made of it.
PURE    = $(wildcard src/parsing/*.c) $(wildcard src/dialect/*_scan.c) \
  src/engine/address.c src/engine/os_posix.c
SRC     = $(wildcard src/*.c src/*/*.c)
OBJ     = $(SRC:src/%.c=$(BUILD)/obj/%.o)
CORE    = $(BUILD)/chatbot/core.so
C_FILES = $(wildcard src/*.[ch] src/*/*.[ch] spec/c/*.[ch] spec/c/*/*.[ch] \
  spec/machines/*.[ch] spec/faults/c/*.c bench/*.[ch])
C_TESTS = $(patsubst spec/c/%.c,$(C_BUILD)/%,$(wildcard spec/c/*/*_test.c))
FUZZERS = $(patsubst spec/c/%.c,build/c/%,$(wildcard spec/c/*/fuzz_*.c))
SUBMAKE = $(MAKE) --no-print-directory
Q       = $(if $(V),,@echo "  $(notdir $(CC)) $@" &&)

all: core  ## build the C module (the default)
core: $(CORE)  ## build/<lua>/chatbot/core.so

$(CORE): $(OBJ) src/core.map
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBFLAG) $(SANITIZERS) $(CFLAGS) $(LDFLAGS) -pthread \
	  -o $@ $(OBJ) $(LIBS)

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(OBJ_FLAGS) -Isrc -MMD -MP -c -o $@ $<

# Other flags, other objects: this file changes only when the flags do.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(OBJ_FLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(OBJ_FLAGS)' > $@

nvim:  ## build for Neovim: lua/chatbot/core.so, found on 'runtimepath'
	@$(SUBMAKE) core LUA=$(NVIM_LUA) LUA_V=5.1 BUILD=build/nvim
	@cp build/nvim/chatbot/core.so lua/chatbot/core.so.new
	@mv -f lua/chatbot/core.so.new lua/chatbot/core.so

# For LuaJIT, which is LÖVE's; CJSON is its lua-cjson, else the one that it finds.
love:  ## build/love: what a game for LÖVE ships
	@$(SUBMAKE) core LUA=luajit BUILD=build/luajit
	@.ci/love luajit build/luajit/chatbot/core.so $(call quoted,$(CJSON))

chat:  ## set up, build, and talk: make chat ARGS="-m gpt-4.1"
	@.ci/setup chat $(RUN_LUA)
	@$(SUBMAKE) core
	@eval "$$($(SUBMAKE) -s env)"; exec $(RUN_LUA) bin/chatbot $(ARGS)

test:  ## set up, build, run every test under LUA; SPECS=spec/sse_spec.lua for one
	@.ci/setup test $(RUN_LUA)
	@.ci/nginx
	@$(SUBMAKE) core
	@MAKE='$(MAKE)' CC='$(CC)' SANITIZE='$(SANITIZE)' WRAP='$(WRAP)' \
	  .ci/test $(RUN_LUA) $(SPECS)

ctest: $(C_TESTS)  ## the C tests of the parsing layer, under ASan and UBSan
	@set -e; for t in $(C_TESTS); do echo "$$t"; $$t; done

# The module opens libcurl.so.4: with CURL that is the one which is named, by
# its path or as the compiler finds it.
faults: core  ## run the fault scenarios; ARGS="clocks" CURL=libcurl-gnutls.so.4
	@set -e; eval "$$($(SUBMAKE) -s env)"; if [ -n '$(CURL)' ]; then \
	  LIBCURL=$$($(CC) -print-file-name='$(CURL)'); ls "$$LIBCURL" >/dev/null; \
	  dir=$$(mktemp -d); trap 'rm -r "$$dir"' EXIT; \
	  ln -s "$$LIBCURL" "$$dir/libcurl.so.4"; \
	  export LIBCURL LD_LIBRARY_PATH="$$dir$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}"; \
	fi; $(RUN_LUA) spec/faults/main.lua $(ARGS)

bench: core  ## all clients against the limit; QUICK=1 takes a minute
	@.ci/setup bench $(RUN_LUA)
	@$(SUBMAKE) core LUA=luajit
	@PEERS=1 CC='$(CC)' bench/build.sh build/bench lua5.4 luajit
	@QUICK='$(QUICK)' lua5.4 bench/run.lua build/bench

instructions:  ## per event, fails above the record by 5 %; RECORD=1 records
	@.ci/setup test lua5.4
	@$(SUBMAKE) core LUA=lua5.4 BUILD=build/counted $(COUNTED)
	@$(COUNTED) bench/build.sh build/counted lua5.4
	@RECORD='$(RECORD)' bench/instructions.sh build/counted build/counted

# What is counted is built the same way, whatever the rest is.
COUNTED = CC=gcc CFLAGS='-O2 -g' CPPFLAGS= LDFLAGS= SANITIZE=

setup:  ## install what building and testing need, or say what is missing
	@.ci/setup test $(RUN_LUA)

lua-cflags:  ## print how a compiler finds the headers of LUA
	@echo '$(LUA_CFLAGS)'

# A variable that Lua would look at gets the build tree in front of what the
# user has in it, and otherwise in front of Lua's own paths. Lua 5.2 and later
# prefer a LUA_PATH_5_x where there is one.
env:  ## print what a shell must eval to use the build tree from anywhere
	@prepend() { \
	  rest=$$(printf %s "$${3:-;}" | sed 's|$(CURDIR)/[^;]*;||g'); \
	  echo "export $$1='$$2;$$rest'"; \
	}; \
	root='$(CURDIR)'; v=_$(subst .,_,$(need_lua_v)); \
	lua="$$root/lua/?.lua;$$root/lua/?/init.lua"; \
	c='$(abspath $(BUILD))/?.so'; \
	if [ -d build/modules/$(need_lua_v) ]; then \
	  lua="$$lua;$$root/build/modules/$(need_lua_v)/?.lua"; \
	  c="$$c;$$root/build/modules/$(need_lua_v)/?.so"; \
	fi; \
	eval "lua_v=\$${LUA_PATH$$v-} c_v=\$${LUA_CPATH$$v-}"; \
	prepend LUA_PATH "$$lua" "$$LUA_PATH"; \
	prepend LUA_CPATH "$$c" "$$LUA_CPATH"; \
	[ -z "$$lua_v" ] || prepend LUA_PATH$$v "$$lua" "$$lua_v"; \
	[ -z "$$c_v" ] || prepend LUA_CPATH$$v "$$c" "$$c_v"

# Folders, whatever characters they have.
FOLDERS = DESTDIR=$(call quoted,$(DESTDIR)) LUADIR=$(call quoted,$(LUADIR)) \
  LIBDIR=$(call quoted,$(LIBDIR)) BINDIR=$(call quoted,$(BINDIR)) \
  DATADIR=$(call quoted,$(DATADIR))

install: $(CORE)  ## into PREFIX (/usr/local), below DESTDIR
	@$(FOLDERS) .ci/install $(RUN_LUA) $(CORE)

uninstall:  ## take away what install put there
	@$(FOLDERS) .ci/install --remove

dist:  ## the commit as a tarball, a rockspec and a rock in build/dist; URL=...
	@.ci/dist $(call quoted,$(URL))

check: lint layers format-check symbols ctest instructions  ## all but the specs
check: machines-quick

lint:  ## luacheck, cppcheck, and no warning from gcc or clang
	@MAKE='$(MAKE)' .ci/lint $(BUILD)

layers:  ## each C file includes only what is below it
	@CC='$(CC)' .ci/layers src $(C_STD) $(CPPFLAGS) $(LUA_CFLAGS) $(CURL_CFLAGS)

symbols: $(CORE)  ## exports, imports and mutable data of the C module
	@.ci/symbols $(CORE) $(OBJ)

# Each version lays out a little differently: 14 is the one that judges.
CLANG_FORMAT ?= $(call ask,CLANG_FORMAT,for f in clang-format-14 clang-format; \
            do $$f --version | grep -q 'version 14\.' && echo $$f && break; done)

format:  ## lay out the C files as .clang-format says, with clang-format 14
	$(or $(CLANG_FORMAT),$(error clang-format 14 is not here)) -i $(C_FILES)

format-check:  ## fails where `make format` would change something
	@$(if $(CLANG_FORMAT),$(CLANG_FORMAT) --dry-run --Werror $(C_FILES),\
	  echo 'left out: format-check: clang-format 14 is not here' >&2)

$(C_TESTS): $(C_BUILD)/%: spec/c/%.c $(C_FILES)
	@mkdir -p $(@D)
	$(Q)$(CC) $(C_FLAGS) -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	  $(C_SANITIZE:%=-fsanitize=%) -pthread -Isrc -Ispec/c \
	  -o $@ $< $(PURE) $(LIBS)

$(FUZZERS): build/c/%: spec/c/%.c $(C_FILES)
	@mkdir -p $(@D)
	clang $(C_STD) -O1 -g -fsanitize=fuzzer,address,undefined -Isrc -Ispec/c \
	  -fno-sanitize-recover=all $(LUA_CFLAGS) -o $@ $< $(PURE) \
	  -pthread $(LIBS) $$($(PKG_CONFIG) --libs $(need_lua_pc))

clean:  ## remove what was built
	rm -rf build lua/chatbot/core.so

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile spec/machines/rules.mk | \
	  awk -F '\t' '{ printf "  make %-13s %s\n", $$1, $$2 }'
	@echo "Variables: LUA=$(LUA) PREFIX=$(PREFIX) CC=$(CC) CFLAGS" \
	  "WERROR=1 V=1 SANITIZE=address,undefined WRAP=valgrind"

-include spec/machines/rules.mk

FORCE:
.PHONY: all core nvim love faults bench instructions chat test ctest setup env install uninstall dist check lint layers \
  symbols format format-check clean help lua-cflags FORCE

-include $(OBJ:.o=.d)
