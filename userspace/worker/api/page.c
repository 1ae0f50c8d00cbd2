/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /: a page to look at, nothing to press. It loads nothing from elsewhere and runs this one
 * script (the policy names it by its hash); what it shows is put in as text, never as HTML.
 */
#include "worker/api/api.h"

#include <microhttpd.h>
#include <sodium.h>
#include <string.h>

#define POLICY_MAX 512

static const char style[] =
	":root{color-scheme:light dark;font:15px/1.45 system-ui,sans-serif}"
	"body{max-width:72rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem;margin:0}"
	"h2{font-size:1.1rem;margin:2rem 0 .4rem}table{border-collapse:collapse;width:100%}"
	"th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884;"
	"overflow-wrap:anywhere;vertical-align:top}th{font-weight:600}"
	"#state{padding:.1rem .6rem;border-radius:.4rem;background:#8883;font-weight:600}"
	"#state.ready{background:#2a84}#state.bad{background:#d334}.dim{opacity:.65}";

static const char script[] =
	"'use strict';"
	"const $=id=>document.getElementById(id);"
	"function row(cells){const r=document.createElement('tr');"
	"for(const c of cells){const d=document.createElement('td');"
	"d.textContent=c===null||c===undefined?'':String(c);r.append(d)}return r}"
	"function "
	"fill(id,rows,none){$(id).replaceChildren(...(rows.length?rows:[[none]]).map(row))}"
	"async function get(p){const a=await fetch(p);if(!a.ok)throw new Error(p+': '+a.status);"
	"return a.json()}"
	"async function look(){try{"
	"const [h,c,f]=await Promise.all([get('/v1/health'),get('/v1/conditions'),"
	"get('/v1/fires?limit=50')]);"
	"$('state').textContent=h.state;$('state').className=h.state==='ready'?'ready':'bad';"
	"$('note').textContent=(h.halt?'halted: '+h.halt+'. ':'')+h.targets+' cgroups watched, '"
	"+h.registered_conditions+' conditions, '+h.journal_failures+' journal failures';"
	"fill('conditions',c.map(x=>[x.id,x.armed+(x.why_not?': '+x.why_not:''),x.action.kind,"
	"x.when||'(by hand only)',x.targets,x.true_now,x.unknown]),'none');"
	"fill('fires',f.map(x=>[x.fired_at,x.condition_id,x.group||x.target,x.action,x.state,"
	"x.outcome,x.fired_by,x.reason]),'nothing has been fired');"
	"fill('cuts',h.cuts.map(x=>[x.group,x.fire_id,x.since]),'nothing is cut');"
	"}catch(e){$('state').textContent='no answer';$('state').className='bad';"
	"$('note').textContent=e.message}setTimeout(look,2000)}look();";

static void add_table(struct sc_str *out, const char *title, const char *id, const char *heads)
{
	sc_str_addf(out, "<h2>%s</h2><table><thead><tr>", title);
	while (*heads) {
		size_t n = strcspn(heads, ",");

		sc_str_addf(out, "<th scope=\"col\">%.*s</th>", (int)n, heads);
		heads += n + (heads[n] == ',');
	}
	sc_str_addf(out, "</tr></thead><tbody id=\"%s\"></tbody></table>", id);
}

static void write_page(struct sc_str *out)
{
	sc_str_add(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
			"<meta name=\"viewport\" content=\"width=device-width\">"
			"<title>scram</title><style>");
	sc_str_add(out, style);
	sc_str_add(out, "</style></head><body><h1>scram <span id=\"state\">...</span></h1>"
			"<p id=\"note\" class=\"dim\"></p>");
	add_table(out, "Conditions", "conditions",
		  "Condition,State,Action,When,Targets,True,Unknown");
	add_table(out, "Cuts", "cuts", "Group,Fire,Since");
	add_table(out, "Fires", "fires", "Fired,Condition,Target,Action,State,Outcome,By,Reason");
	sc_str_add(out, "<noscript>This page needs its script; /v1/health tells the same."
			"</noscript><script>");
	sc_str_add(out, script);
	sc_str_add(out, "</script></body></html>");
}

static void add_hash(struct sc_str *out, const char *text)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char encoded[sodium_base64_ENCODED_LEN(sizeof(hash), sodium_base64_VARIANT_ORIGINAL)];

	crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
	sodium_bin2base64(encoded, sizeof(encoded), hash, sizeof(hash),
			  sodium_base64_VARIANT_ORIGINAL);
	sc_str_addf(out, "'sha256-%s'; ", encoded);
}

static void write_policy(struct sc_str *out)
{
	sc_str_add(out, "default-src 'none'; connect-src 'self'; base-uri 'none'; "
			"form-action 'none'; frame-ancestors 'none'; style-src ");
	add_hash(out, style);
	sc_str_add(out, "script-src ");
	add_hash(out, script);
}

void sc_route_page(struct sc_call *call)
{
	_cleanup_str_ struct sc_str page;
	char room[POLICY_MAX];
	struct sc_str policy;

	sc_str_init_heap(&page);
	sc_str_init(&policy, room, sizeof(room));
	write_page(&page);
	write_policy(&policy);
	SC_ASSERT(!policy.truncated);
	sc_call_answer(call, 200, "text/html; charset=utf-8", &page);
	if (call->response)
		(void)MHD_add_response_header(call->response, "Content-Security-Policy", room);
}
