/*
 * verdict.c - see verdict.h.
 */
#include "engine/verdict.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/address.h"
#include "engine/os.h"
#include "engine/response.h"
#include "engine/transfer.h"
#include "parsing/url.h"

#define INFO_USED_PROXY  ((CURLINFO)(CURLINFO_LONG + 66)) /* 8.7.0 */
#define RESULT_TOO_LARGE 100                              /* 8.6.0 */
#define RESULT_PROXY     97                               /* 7.73.0 */

static bool connected(const struct transfer *t)
{
    return t->request->connected != 0 || transfer_connect_time(t) > 0;
}

/* Whether curl cannot use the address of the proxy. The message would show it
 * with its password. */
static bool bad_proxy(const struct transfer *t, CURLcode result)
{
    return t->proxied && !t->opened && !connected(t) &&
           (result == CURLE_NOT_BUILT_IN ||
            (t->bad_proxy && result != CURLE_COULDNT_RESOLVE_HOST &&
             result != CURLE_OUT_OF_MEMORY));
}

bool verdict_starved(const struct transfer *t)
{
    return !connected(t) && (os_is_exhausted(t->no_socket) || os_exhausted());
}

static enum http_fault fault_of(CURLcode result)
{
    switch ((int)result) {
    case CURLE_OK:
        return FAULT_NONE;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return FAULT_CONFIG;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case RESULT_PROXY:
        return FAULT_PROXY;
    case CURLE_COULDNT_RESOLVE_HOST:
        return FAULT_DNS;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
        return FAULT_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        return FAULT_TLS;
    case CURLE_OPERATION_TIMEDOUT:
        return FAULT_TIMEOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        return FAULT_TRUNCATED;
    case CURLE_OUT_OF_MEMORY:
        return FAULT_MEMORY;
    case RESULT_TOO_LARGE:
        return FAULT_LIMIT;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return FAULT_RESET;
    default:
        return FAULT_PROTOCOL;
    }
}

/* Whether the connection that failed was one to a proxy. Before 8.7.0 curl does
 * not say: another port than the URL's is one, and where they have the same,
 * curl's message names the host that was meant, or CONNECT. */
static bool used_proxy(struct transfer *t)
{
    static const char start[] = "Failed to connect to ";
    const char *url = t->request->options.url, *named = t->error;
    long used = 0;
    if (!t->proxied) /* curl may write the address in another way */
        return false;
    if (t->curl->version_num >= 0x080700)
        return t->curl->easy_getinfo(t->easy, INFO_USED_PROXY, &used) ==
                   CURLE_OK &&
               used;
    if (t->peer_port != 0 && t->peer_port != url_port(url))
        return true;
    if (strncmp(named, start, sizeof start - 1) != 0)
        return strstr(named, "CONNECT ") != NULL;
    size_t n;
    const char *host = url_host(url, &n);
    named += sizeof start - 1;
    if (*host == '[') { /* named without the brackets */
        host++;
        n -= 2;
    }
    return strncasecmp(named, host, n) != 0 || named[n] != ' ';
}

/* What curl's result means, where its code alone does not tell. */
static enum http_fault find_fault(struct transfer *t, CURLcode result)
{
    struct http_request *r = t->request;
    if (bad_proxy(t, result))
        return FAULT_CONFIG;
    enum http_fault fault = fault_of(result);
    bool header = t->header_bytes > 0 && !r->response.header_done;
    if (result == CURLE_UNSUPPORTED_PROTOCOL && connected(t))
        return FAULT_PROTOCOL; /* no HTTP came back */
    /* of chunks that are wrong, no number tells: not even that there was no
     * errno, as over TLS there is none of a reset either */
    if (result == CURLE_RECV_ERROR && strstr(t->error, "chunk"))
        return FAULT_PROTOCOL;
    if (!connected(t) &&
        (fault == FAULT_RESET || fault == FAULT_CONNECT ||
         fault == FAULT_TRUNCATED || fault == FAULT_PROTOCOL) &&
        used_proxy(t))
        return FAULT_PROXY;
    /* curl before 8.6.0 calls an over-long header line "out of memory" */
    if (result == CURLE_OUT_OF_MEMORY && header)
        return FAULT_LIMIT;
    return fault;
}

/* A proxy that has refused: its status is that of the failure. */
static void judge_proxy(struct transfer *t, CURLcode result)
{
    struct http_request *r = t->request;
    long reply = 0;
    t->curl->easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &reply);
    if (reply < 300 || r->response.status != 0 || result == CURLE_OK)
        reply = r->response.status == 407 ? 407 : 0;
    if (reply == 0)
        return;
    r->response.status = (int)reply;
    r->response.header_done = false;
    exchange_refuse(t, FAULT_PROXY, "the proxy answered HTTP %ld%s", reply,
                    reply == 407 ? " (it wants a user and a password)" : "");
}

/* Whether what has answered is inside: by the name in the URL, or by the
 * address. -1: that may be a proxy's. */
static int find_inside(struct transfer *t)
{
    size_t n;
    const char *ip = NULL, *host = url_host(t->request->options.url, &n);
    if (address_is_private_host(host, n))
        return 1;
    if (t->proxied)
        return -1;
    t->curl->easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    return ip != NULL && address_is_private_host(ip, strlen(ip));
}

void verdict_judge(struct transfer *t, CURLcode result)
{
    struct http_request *r = t->request;
    if (r->options.document)
        r->inside = find_inside(t);
    if (t->capped && t->fault == FAULT_NONE)
        result = CURLE_OK;
    else if (t->informational && result == CURLE_OK)
        result = CURLE_GOT_NOTHING;
    judge_proxy(t, result);
    enum http_fault fault =
        t->fault != FAULT_NONE ? t->fault : find_fault(t, result);
    const char *text =
        t->error[0] != '\0' ? t->error : t->curl->easy_strerror(result);
    r->fault = fault;
    r->retryable = fault == FAULT_DNS || fault == FAULT_CONNECT ||
                   fault == FAULT_RESET || fault == FAULT_TRUNCATED ||
                   fault == FAULT_TIMEOUT ||
                   (fault == FAULT_PROXY && r->response.status < 400) ||
                   (fault == FAULT_PROXY && r->response.status >= 500);
    if (fault == FAULT_TIMEOUT) /* curl's only clock */
        r->phase = "connect";
    if (fault == FAULT_MEMORY)
        snprintf(r->message, sizeof r->message, "not enough memory");
    else if (fault == FAULT_NONE || t->fault != FAULT_NONE)
        return;
    else if (fault == FAULT_LIMIT)
        response_too_large(t);
    else if (bad_proxy(t, result))
        exchange_refuse(t, fault,
                        "the address of the proxy cannot be used (see the "
                        "option proxy, https_proxy, http_proxy, all_proxy)");
    else if (os_is_exhausted(t->no_socket))
        exchange_refuse(t, fault, "too many open files");
    else if (fault == FAULT_TIMEOUT)
        exchange_refuse(t, fault, "no connection within the connect_timeout");
    else if (fault == FAULT_TLS)
        snprintf(r->message, sizeof r->message, "%s (CA certificates: %s)",
                 text, t->ca_source);
    else
        snprintf(r->message, sizeof r->message, "%s", text);
}
