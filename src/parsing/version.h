/*
 * version.h - the version of this release, for chatbot._VERSION, the User-Agent
 * and `make dist`. The manual and the manual page name it, too.
 */
#ifndef CHATBOT_VERSION_H
#define CHATBOT_VERSION_H

#define CHATBOT_VERSION "0.2.0"

#endif
