/*
 * shared.h - what C and Lua share of a bot and of a reply: the fields of their
 * environment tables (reply:_env(), bot:_env()), all of them. A name that is
 * not here is not used.
 *
 * Of each: its name; the type; who sets it, C or LUA (both read it where they
 * need it); how long it is there. Of a bot:
 *   BOT      as long as the bot
 * and of a reply:
 *   REPLY    as long as the reply
 *   REQUEST  until the reply is launched again: reply_forget takes it away
 *   SEEN     as REPLY, and a program sees it as a field of the reply
 *   ANSWER   as REQUEST, and a program sees it
 */
#ifndef CHATBOT_SHARED_H
#define CHATBOT_SHARED_H

#define SHARED_OF_BOT(X)                                                       \
    X(options, "table", C, BOT)     /* those of chatbot.new and set_model */   \
    X(messages, "table", C, BOT)    /* the conversation, a live array */       \
    X(route, "table", C, BOT)       /* see route.h */                          \
    X(api_key, "function", C, BOT)  /* when it is one; a string is in C */     \
    X(active, "table", C, BOT)      /* weak: the reply that is under way */    \
    X(totals, "table", C, BOT)      /* the tokens of all answers */            \
    X(known, "table", C, BOT)       /* of long strings, see encoded.h */       \
    X(extra, "table", LUA, BOT)     /* options for ask.lua; models */          \
    X(adjust, "table", LUA, BOT)    /* what was learned, see adjust.lua */     \
    X(arguments, "table", LUA, BOT) /* those that were looked at: turns */

#define SHARED_OF_REPLY(X)                                                     \
    /* what must live as long, and what is asked */                            \
    X(bot, "userdata", C, REPLY)                                               \
    X(engine, "userdata", C, REPLY)                                            \
    X(messages, "table", C, REPLY)                                             \
    X(pending, "table", C, REPLY) /* the prompt, see history.h */              \
    X(call, "table", C, REPLY)    /* the options of the call */                \
    X(note, "string", C, REPLY)   /* goes with the system message */           \
    X(route, "table", C, REPLY)   /* where it goes */                          \
    X(home, "table", C, REPLY)    /* the bot's route when it was asked, */     \
    X(options, "table", C, REPLY) /* and options: headers are for there */     \
    X(path, "string", C, REPLY)   /* a GET of this instead of a chat */        \
    X(asked_model, "string", C, REPLY)                                         \
    X(server, "string", C, REPLY) /* the base URL */                           \
    X(api, "string", C, SEEN)     /* the dialect */                            \
    /* options */                                                              \
    X(on_text, "function", C, REPLY)                                           \
    X(on_event, "function", C, REPLY)                                          \
    X(on_reasoning, "function", C, REPLY)                                      \
    X(on_trim, "function", C, REPLY)                                           \
    X(wait, "function", C, REPLY)                                              \
    X(verbose, "number", C, REPLY)                                             \
    X(keep_partial, "boolean", C, REPLY)                                       \
    X(max_context_tokens, "number", C, REPLY)                                  \
    X(think_tags, "boolean", C, REPLY)                                         \
    X(several, "boolean", C, REPLY) /* more than one answer was asked for */   \
    X(answer_tool, "string", C, REPLY) /* whose arguments are the answer */    \
    X(reasoning_back, "boolean", C, REPLY) /* the service wants them back */   \
    X(details_back, "boolean", C, REPLY)                                       \
    X(totals, "table", C, REPLY) /* the bot's */                               \
    /* the answer while it arrives: see calls.h, details.h */                  \
    X(id, "string", C, ANSWER)                                                 \
    X(model, "string", C, ANSWER)                                              \
    X(usage, "table", C, ANSWER)                                               \
    X(finish_reason, "string", C, ANSWER)                                      \
    X(logprobs, "table", C, ANSWER)                                            \
    X(tool_calls, "table", C, ANSWER) /* seen when they are whole */           \
    X(tool_index, "table", C, REQUEST)                                         \
    X(tool_parts, "table", C, REQUEST)                                         \
    X(details, "table", C, REQUEST)                                            \
    X(detail_index, "table", C, REQUEST)                                       \
    X(extra_content, "table", C, REQUEST)                                      \
    X(events, "table", C, REPLY)     /* decoded, for on_event */               \
    X(items, "table", C, REQUEST)    /* see responses_items.h */               \
    X(native, "table", C, REQUEST)   /* items as they came, see native.h */    \
    X(blocks, "table", C, REQUEST)   /* see messages_blocks.h */               \
    X(paused, "boolean", C, REQUEST) /* it goes on where it is sent back */    \
    X(before, "string", C, REPLY)    /* what went before it, as sent */        \
    X(citations, "table", C, ANSWER) /* what the answer rests on */            \
    X(images, "table", C, ANSWER)    /* that were generated */                 \
    /* the end */                                                              \
    X(request_id, "string", C, ANSWER)                                         \
    X(raw, "table", C, REQUEST)   /* a whole document, decoded */              \
    X(text, "string", C, REQUEST) /* all of it, once it is whole */            \
    X(message, "table", C, SEEN)                                               \
    X(provider, "string", C, SEEN)                                             \
    X(err, "table", C, REPLY)                                                  \
    X(dropped, "table", C, REPLY) /* messages that went, for on_trim */        \
    /* what goes beyond one request: ask.lua and its parts */                  \
    X(hold, "boolean", LUA, REPLY) /* Lua goes on where it ended well */       \
    X(plan, "table", LUA, REPLY)                                               \
    X(first_part, "table", LUA, REPLY) /* the message of one that goes on */   \
    X(said, "string", LUA, REPLY)      /* the text of earlier rounds */        \
    X(parsed, "table", LUA, SEEN)                                              \
    X(adjusted, "table", LUA, SEEN)                                            \
    X(attempts, "table", LUA, SEEN)                                            \
    X(learned, "table", LUA, REPLY)                                            \
    X(models, "table", LUA, REPLY)                                             \
    X(candidate, "number", LUA, REPLY)                                         \
    X(round, "number", LUA, REPLY)                                             \
    X(answered, "boolean", LUA, REPLY)                                         \
    X(running, "boolean", LUA, REPLY) /* somebody advances the tools */        \
    X(job, "thread", LUA, REPLY)      /* of tools that wait */                 \
    X(runner, "thread", LUA, REPLY)   /* that is in a tool */                  \
    X(asleep, "function", LUA, REPLY) /* whether a tool still waits */         \
    X(beside, "table", LUA, REPLY)    /* those of together.lua */

#endif
