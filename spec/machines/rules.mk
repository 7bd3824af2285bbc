# Machines that look for trouble; included by the Makefile. Each target ends with
# a figure and fails when something was found. spec/machines has what they run.

SECONDS ?= 60
SEED    ?=
STEP    ?= 1
ARCHS   ?= s390x armhf i386 arm64
ROWS    ?=

# Builds beside the usual one. Their flags come with SANITIZE.
ASAN_BUILD = build/$(notdir $(LUA))-asan
HARD_BUILD = build/lua5.4-hard
TSAN_BUILD = build/$(notdir $(LUA))-tsan
AS_ASAN    = SANITIZE=address,undefined BUILD=$(ASAN_BUILD)
AS_HARD    = SANITIZE=address,undefined BUILD=$(HARD_BUILD) LUA=lua5.4
HARD_LUA   = $(CURDIR)/$(HARD_BUILD)/lua5.4
AS_TSAN    = SANITIZE=thread BUILD=$(TSAN_BUILD)
LIBASAN    = $(shell $(CC) -print-file-name=libasan.so)
LUA_LIBS  ?= $(call ask,LUA_LIBS,$(PKG_CONFIG) --libs $(need_lua_pc))
WITH       = eval "$$($(SUBMAKE) -s env BUILD=$(1))";
MACHINE    = spec/machines

asan:  ## module under ASan and UBSan: C tests, core specs, faults, leaks
	@$(SUBMAKE) ctest
	@$(SUBMAKE) core $(AS_ASAN)
	@$(call WITH,$(ASAN_BUILD)) $(MACHINE)/asan.sh $(LUA) $(LIBASAN)

apicheck: $(HARD_BUILD)/lua5.4  ## the same under a Lua 5.4 that checks its callers
	@$(SUBMAKE) core $(AS_HARD)
	@$(call WITH,$(HARD_BUILD) LUA=lua5.4) HARD_GC=97 \
	  $(MACHINE)/asan.sh $(HARD_LUA) $(LIBASAN) $(QUICK)

$(HARD_BUILD)/lua5.4: $(MACHINE)/hard-lua.sh $(MACHINE)/hard.h
	@CC='$(CC)' $(MACHINE)/hard-lua.sh $(HARD_BUILD)

gc:  ## full garbage collections all the time, under ASan
	@$(SUBMAKE) core $(AS_ASAN)
	@$(call WITH,$(ASAN_BUILD)) LD_PRELOAD=$(LIBASAN) \
	  $(LUA) $(MACHINE)/core.lua gc

valgrind: core  ## a pass through the module under valgrind
	@$(call WITH,$(BUILD)) valgrind -q --error-exitcode=9 --leak-check=full \
	  --errors-for-leak-kinds=definite,indirect,possible \
	  --show-leak-kinds=definite,indirect,possible $(LUA) $(MACHINE)/core.lua

oom:  ## fail every allocation in turn; STEP=9: every ninth
	@$(SUBMAKE) $(ASAN_BUILD)/oom/oom $(AS_ASAN)
	@$(call WITH,$(ASAN_BUILD)/oom) ASAN_OPTIONS=detect_leaks=0 \
	  $(LUA) $(MACHINE)/oom.lua $(ASAN_BUILD)/oom/oom $(STEP)

tsan:  ## a Lua state in each of several threads, under TSan
	@$(SUBMAKE) $(TSAN_BUILD)/threads $(AS_TSAN)
	@$(call WITH,$(TSAN_BUILD)) \
	  TSAN_OPTIONS=suppressions=$(CURDIR)/$(MACHINE)/tsan.supp \
	  $(LUA) $(MACHINE)/threads.lua $(TSAN_BUILD)/threads

soak: core  ## random cuts and lies for SECONDS seconds; SEED=n repeats one
	@$(call WITH,$(BUILD)) $(LUA) $(MACHINE)/soak.lua $(SECONDS) $(SEED)

# Each Lua under sanitizers, the one that checks its callers, and one as it is,
# whose memory is measured.
CHAOS ?= $(LUAS_ASAN:%=build/%-asan) $(HARD_BUILD) build/lua5.4
LUAS_ASAN = lua5.4 lua5.3 lua5.1 luajit
EACH  ?= 3

chaos: $(HARD_BUILD)/lua5.4  ## callbacks, finalizers that do anything; SECONDS=60 SEED=n
	@$(SUBMAKE) core $(AS_HARD)
	@$(SUBMAKE) core LUA=lua5.4 SANITIZE= BUILD=build/lua5.4
	@set -e; for lua in $(LUAS_ASAN); do \
	  $(SUBMAKE) core SANITIZE=address,undefined LUA=$$lua BUILD=build/$$lua-asan; \
	done
	@$(MACHINE)/chaos.sh $(SECONDS) \
	  $(or $(SEED),$$(( $$(date +%s) % 1000000 ))) $(EACH) $(LIBASAN) $(CHAOS)

walk: core  ## a conversation against a model of it; STEPS=10000 SEED=n
	@$(call WITH,$(BUILD)) $(LUA) $(MACHINE)/walk.lua $(STEPS) $(SEED)

replay: core  ## recorded answers of services against an own reading; DIR=folder
	@$(call WITH,$(BUILD)) SEED='$(SEED)' \
	  $(LUA) $(MACHINE)/replay.lua '$(DIR)' $(ARGS)

fuzz: $(FUZZERS)  ## fuzz the parsing layer for SECONDS seconds each
	@$(LUA) spec/c/seeds/make.lua build/c/seeds
	@$(MACHINE)/fuzz.sh $(SECONDS) $(FUZZERS)

processors:  ## under qemu: ARCHS="s390x armhf i386 arm64"
	@set -e; for arch in $(ARCHS); do $(MACHINE)/processors.sh $$arch; done

matrix:  ## other systems, libcurls, processors, as a table; ROWS="sid s390x"
	@.ci/setup matrix $(LUA)
	@$(MACHINE)/matrix.sh $(ROWS)

machines-quick:  ## short forms of gc, oom, soak and so on, as in `make check`
	@$(SUBMAKE) gc
	@$(SUBMAKE) apicheck QUICK=1
	@$(SUBMAKE) oom STEP=9
	@$(SUBMAKE) walk STEPS=1000
	@$(SUBMAKE) chaos SECONDS=1 EACH=1
	@$(SUBMAKE) soak fuzz SECONDS=10

# The module's own allocations go through its host, which lets them fail.
WRAPPED = malloc calloc realloc strdup strndup free

$(BUILD)/oom/chatbot/core.so: $(OBJ) src/core.map
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIBFLAG) $(SANITIZERS) $(CFLAGS) $(LDFLAGS) -pthread \
	  $(WRAPPED:%=-Wl,--wrap=%) -o $@ $(OBJ) $(LIBS)

$(BUILD)/oom/oom: $(MACHINE)/oom.c $(BUILD)/oom/chatbot/core.so
	$(Q)$(CC) $(C_FLAGS) $(LUA_CFLAGS) $(CURL_CFLAGS) -rdynamic -o $@ $< \
	  $(LUA_LIBS) $$($(PKG_CONFIG) --libs libcurl)

$(BUILD)/threads: $(MACHINE)/threads.c $(OBJ)
	$(Q)$(CC) $(C_FLAGS) $(LUA_CFLAGS) -pthread -o $@ $< $(OBJ) $(LUA_LIBS) \
	  $(LIBS)

.PHONY: asan apicheck gc valgrind oom tsan soak chaos walk replay fuzz \
  processors matrix machines-quick
