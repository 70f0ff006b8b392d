
/*
 * Copyright (C) 2026 the ngx_http_async_upload_module authors
 */


#include "ngx_http_async_upload_rules.h"
#include "ngx_http_async_upload_name.h"
#include "ngx_http_async_upload_parse.h"
#include "ngx_http_async_upload_setter.h"


#define NGX_HTTP_ASYNC_UPLOAD_RULES_MANY  1000000000


/* what stands behind "name=" */

typedef enum {
    NGX_HTTP_ASYNC_UPLOAD_RULES_RATE = 0,   /* ppm */
    NGX_HTTP_ASYNC_UPLOAD_RULES_PERCENT,
    NGX_HTTP_ASYNC_UPLOAD_RULES_NUMBER,
    NGX_HTTP_ASYNC_UPLOAD_RULES_TIME        /* ms */
} ngx_http_async_upload_rules_type_e;


/*
 * A parameter: its range and, as an offset in the directive's structure, the
 * field (of the size of ngx_uint_t) that it sets.  With "off" the word turns
 * it off, which is 0.
 */

typedef struct {
    ngx_str_t                             name;     /* with "=" */
    ngx_http_async_upload_rules_type_e    type;
    ngx_uint_t                            off;
    size_t                                field;
    int64_t                               min;
    int64_t                               max;
    const char                           *allowed;
} ngx_http_async_upload_rules_parameter_t;


static ngx_int_t ngx_http_async_upload_rules_or_off(ngx_conf_t *cf,
    ngx_http_async_upload_rules_parameter_t *table, void *rules,
    ngx_flag_t *on);
static ngx_int_t ngx_http_async_upload_rules_parameters(ngx_conf_t *cf,
    ngx_uint_t first, ngx_http_async_upload_rules_parameter_t *table,
    void *rules);
static ngx_int_t ngx_http_async_upload_rules_value(
    ngx_http_async_upload_rules_parameter_t *parameter, ngx_str_t *word);
static ngx_uint_t ngx_http_async_upload_rules_is(ngx_str_t *word,
    const char *expected);
static char *ngx_http_async_upload_rules_flag(ngx_conf_t *cf,
    ngx_str_t *names, const char *allowed, ngx_flag_t *value,
    ngx_http_async_upload_source_e *source);


static ngx_http_async_upload_rules_parameter_t
    ngx_http_async_upload_rules_stages[] =
{
    { ngx_string("min_uploads="), NGX_HTTP_ASYNC_UPLOAD_RULES_NUMBER, 0,
      offsetof(ngx_http_async_upload_stage_t, min_uploads),
      1, NGX_HTTP_ASYNC_UPLOAD_RULES_MANY,
      "from 1 to 1000000000" },

    { ngx_string("success="), NGX_HTTP_ASYNC_UPLOAD_RULES_RATE, 0,
      offsetof(ngx_http_async_upload_stage_t, success),
      0, 1000000,
      "from 0% to 100% in steps of 0.0001%" },

    { ngx_string("error="), NGX_HTTP_ASYNC_UPLOAD_RULES_RATE, 0,
      offsetof(ngx_http_async_upload_stage_t, error),
      0, 1000000,
      "from 0% to 100% in steps of 0.0001%" },

    { ngx_string("latency="), NGX_HTTP_ASYNC_UPLOAD_RULES_PERCENT, 1,
      offsetof(ngx_http_async_upload_stage_t, latency),
      101, 10000,
      "from 101% to 10000% or off" },

    { ngx_string("soak="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 0,
      offsetof(ngx_http_async_upload_stage_t, soak),
      0, (int64_t) 365 * 86400 * 1000,
      "a time of at most 365d" },

    { ngx_null_string, 0, 0, 0, 0, 0, NULL }
};


static ngx_http_async_upload_rules_parameter_t
    ngx_http_async_upload_rules_rollbacks[] =
{
    { ngx_string("success="), NGX_HTTP_ASYNC_UPLOAD_RULES_RATE, 0,
      offsetof(ngx_http_async_upload_rollback_t, success),
      0, 1000000,
      "from 0% to 100% in steps of 0.0001%" },

    { ngx_string("error="), NGX_HTTP_ASYNC_UPLOAD_RULES_RATE, 0,
      offsetof(ngx_http_async_upload_rollback_t, error),
      0, 1000000,
      "from 0% to 100% in steps of 0.0001%" },

    { ngx_string("run="), NGX_HTTP_ASYNC_UPLOAD_RULES_NUMBER, 1,
      offsetof(ngx_http_async_upload_rollback_t, run),
      0, NGX_HTTP_ASYNC_UPLOAD_RULES_MANY,
      "from 1 to 1000000000, or 0 or off" },

    { ngx_string("memory="), NGX_HTTP_ASYNC_UPLOAD_RULES_PERCENT, 1,
      offsetof(ngx_http_async_upload_rollback_t, memory),
      101, 10000,
      "from 101% to 10000% or off" },

    { ngx_string("min_uploads="), NGX_HTTP_ASYNC_UPLOAD_RULES_NUMBER, 0,
      offsetof(ngx_http_async_upload_rollback_t, min_uploads),
      1, NGX_HTTP_ASYNC_UPLOAD_RULES_MANY,
      "from 1 to 1000000000" },

    { ngx_string("window="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 0,
      offsetof(ngx_http_async_upload_rollback_t, window),
      10 * 1000, 86400 * 1000,
      "a time from 10s to 24h" },

    { ngx_null_string, 0, 0, 0, 0, 0, NULL }
};


static ngx_http_async_upload_rules_parameter_t
    ngx_http_async_upload_rules_reviews[] =
{
    { ngx_string("success="), NGX_HTTP_ASYNC_UPLOAD_RULES_RATE, 1,
      offsetof(ngx_http_async_upload_review_t, success),
      0, 1000000,
      "from 0% to 100% in steps of 0.0001%, or off" },

    { ngx_string("for="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 0,
      offsetof(ngx_http_async_upload_review_t, success_for),
      10 * 1000, 86400 * 1000,
      "a time from 10s to 24h" },

    { ngx_string("latency="), NGX_HTTP_ASYNC_UPLOAD_RULES_PERCENT, 1,
      offsetof(ngx_http_async_upload_review_t, latency),
      101, 10000,
      "from 101% to 10000% or off" },

    { ngx_string("latency_for="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 0,
      offsetof(ngx_http_async_upload_review_t, latency_for),
      10 * 1000, 86400 * 1000,
      "a time from 10s to 24h" },

    { ngx_string("complaints="), NGX_HTTP_ASYNC_UPLOAD_RULES_NUMBER, 1,
      offsetof(ngx_http_async_upload_review_t, complaints),
      0, NGX_HTTP_ASYNC_UPLOAD_RULES_MANY,
      "from 1 to 1000000000, or 0 or off" },

    { ngx_string("unattended="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 1,
      offsetof(ngx_http_async_upload_review_t, unattended),
      1000, (int64_t) 365 * 86400 * 1000,
      "a time from 1s to 365d or off" },

    { ngx_null_string, 0, 0, 0, 0, 0, NULL }
};


static ngx_http_async_upload_rules_parameter_t
    ngx_http_async_upload_rules_plain[] =
{
    { ngx_string("confirm="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 0,
      offsetof(ngx_http_async_upload_statistics_t, confirm),
      0, 3600 * 1000,
      "a time of at most 1h" },

    { ngx_null_string, 0, 0, 0, 0, 0, NULL }
};


static ngx_http_async_upload_rules_parameter_t
    ngx_http_async_upload_rules_sequential[] =
{
    { ngx_string("evidence="), NGX_HTTP_ASYNC_UPLOAD_RULES_NUMBER, 0,
      offsetof(ngx_http_async_upload_statistics_t, evidence),
      2, NGX_HTTP_ASYNC_UPLOAD_RULES_MANY,
      "from 2 to 1000000000" },

    { ngx_string("confirm="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 0,
      offsetof(ngx_http_async_upload_statistics_t, confirm),
      0, 3600 * 1000,
      "a time of at most 1h" },

    { ngx_string("min_failures="), NGX_HTTP_ASYNC_UPLOAD_RULES_NUMBER, 0,
      offsetof(ngx_http_async_upload_statistics_t, min_failures),
      1, NGX_HTTP_ASYNC_UPLOAD_RULES_MANY,
      "from 1 to 1000000000" },

    { ngx_string("proof="), NGX_HTTP_ASYNC_UPLOAD_RULES_RATE, 1,
      offsetof(ngx_http_async_upload_statistics_t, proof),
      1, 999999,
      "above 0% and below 100% in steps of 0.0001%, or off" },

    { ngx_string("horizon="), NGX_HTTP_ASYNC_UPLOAD_RULES_TIME, 0,
      offsetof(ngx_http_async_upload_statistics_t, horizon),
      60 * 1000, (int64_t) 365 * 86400 * 1000,
      "a time from 1m to 365d" },

    { ngx_null_string, 0, 0, 0, 0, 0, NULL }
};


char *
ngx_http_async_upload_rules_stage(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_int_t                       share;
    ngx_str_t                      *value;
    ngx_array_t                    *stages;
    ngx_http_async_upload_stage_t  *stage, new;

    value = cf->args->elts;

    if (rollout->share != NGX_CONF_UNSET_UINT) {
        return "is not allowed beside \"async_upload_rollout\", the first "
               "stage is the share";
    }

    share = ngx_http_async_upload_parse_share(&value[1], 1);

    if (share == NGX_ERROR || share == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid share \"%V\", it must be from 0.01%% to "
                           "100%% in steps of 0.01%%", &value[1]);
        return NGX_CONF_ERROR;
    }

    new.share = share;
    new.min_uploads = NGX_CONF_UNSET_UINT;
    new.success = NGX_CONF_UNSET_UINT;
    new.error = NGX_CONF_UNSET_UINT;
    new.latency = NGX_CONF_UNSET_UINT;
    new.soak = NGX_CONF_UNSET_MSEC;

    if (ngx_http_async_upload_rules_parameters(cf, 2,
                                   ngx_http_async_upload_rules_stages, &new)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    stages = rollout->stages;

    if (stages == NULL) {
        stages = ngx_array_create(cf->pool, 4,
                                  sizeof(ngx_http_async_upload_stage_t));
        if (stages == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (stages->nelts == NGX_HTTP_ASYNC_UPLOAD_STAGES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many stages, there may be at most %d",
                           NGX_HTTP_ASYNC_UPLOAD_STAGES);
        return NGX_CONF_ERROR;
    }

    if (stages->nelts) {
        stage = stages->elts;

        if (stage[stages->nelts - 1].share >= new.share) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid share \"%V\", it must be above that of "
                               "the stage before", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    stage = ngx_array_push(stages);
    if (stage == NULL) {
        return NGX_CONF_ERROR;
    }

    *stage = new;

    rollout->stages = stages;
    rollout->stages_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_rules_advance(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return ngx_http_async_upload_rules_flag(cf,
                                         ngx_http_async_upload_name_advances,
                                         "manual or auto", &rollout->advance,
                                         &rollout->advance_source);
}


char *
ngx_http_async_upload_rules_rollback(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_http_async_upload_rollback_t  rollback;

    if (rollout->rollback_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    rollback = rollout->rollback;

    if (ngx_http_async_upload_rules_or_off(cf,
                                     ngx_http_async_upload_rules_rollbacks,
                                     &rollback, &rollback.on)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rollout->rollback = rollback;
    rollout->rollback_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_rules_review(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_http_async_upload_review_t  review;

    if (rollout->review_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    review = rollout->review;

    if (ngx_http_async_upload_rules_or_off(cf,
                                     ngx_http_async_upload_rules_reviews,
                                     &review, &review.on)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rollout->review = review;
    rollout->review_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_rules_statistics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_str_t                               *value;
    ngx_http_async_upload_statistics_t       statistics;
    ngx_http_async_upload_rules_parameter_t *table;

    if (rollout->statistics_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    value = cf->args->elts;
    statistics = rollout->statistics;

    if (ngx_http_async_upload_rules_is(&value[1], "sequential")) {
        statistics.sequential = 1;
        table = ngx_http_async_upload_rules_sequential;

    } else if (ngx_http_async_upload_rules_is(&value[1], "plain")) {
        statistics.sequential = 0;
        table = ngx_http_async_upload_rules_plain;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", it must be plain or "
                           "sequential", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_async_upload_rules_parameters(cf, 2, table, &statistics)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rollout->statistics = statistics;
    rollout->statistics_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_rules_budget(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (rollout->budget_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_async_upload_rules_is(&value[1], "off")) {
        n = 0;

    } else {
        n = ngx_atoi(value[1].data, value[1].len);

        if (n < 1 || n > NGX_HTTP_ASYNC_UPLOAD_RULES_MANY) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number \"%V\", it must be from 1 to "
                               "%d or off", &value[1],
                               NGX_HTTP_ASYNC_UPLOAD_RULES_MANY);
            return NGX_CONF_ERROR;
        }
    }

    rollout->budget = n;
    rollout->budget_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


char *
ngx_http_async_upload_rules_dry_run(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    static ngx_str_t  names[] = { ngx_string("off"), ngx_string("on") };

    ngx_http_async_upload_setter_mark(cf, rollout);

    return ngx_http_async_upload_rules_flag(cf, names, "on or off",
                                            &rollout->dry_run,
                                            &rollout->dry_run_source);
}


char *
ngx_http_async_upload_rules_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_async_upload_rollout_t *rollout = conf;

    ngx_str_t  *value;

    if (rollout->journal_source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!ngx_http_async_upload_rules_is(&value[1], "off")) {

        /* what access_log can do and this cannot */

        if (value[1].len == 0
            || ngx_strncmp(value[1].data, "syslog:", 7) == 0
            || ngx_strlchr(value[1].data, value[1].data + value[1].len, '$'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid path \"%V\", it must be that of a "
                               "file, without variables, or off", &value[1]);
            return NGX_CONF_ERROR;
        }

        rollout->journal = ngx_conf_open_file(cf->cycle, &value[1]);
        if (rollout->journal == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rollout->journal_source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    ngx_http_async_upload_setter_mark(cf, rollout);

    return NGX_CONF_OK;
}


/* the parameters, or nothing but "off" */

static ngx_int_t
ngx_http_async_upload_rules_or_off(ngx_conf_t *cf,
    ngx_http_async_upload_rules_parameter_t *table, void *rules, ngx_flag_t *on)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (!ngx_http_async_upload_rules_is(&value[1], "off")) {
        return ngx_http_async_upload_rules_parameters(cf, 1, table, rules);
    }

    if (cf->args->nelts > 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" after \"off\"",
                           &value[2]);
        return NGX_ERROR;
    }

    *on = 0;

    return NGX_OK;
}


/* the directive's words from "first" on; each parameter once, in any order */

static ngx_int_t
ngx_http_async_upload_rules_parameters(ngx_conf_t *cf, ngx_uint_t first,
    ngx_http_async_upload_rules_parameter_t *table, void *rules)
{
    ngx_int_t                                 n;
    ngx_str_t                                *value;
    ngx_uint_t                                i, k, seen;
    ngx_http_async_upload_rules_parameter_t  *parameter;

    value = cf->args->elts;
    seen = 0;

    for (i = first; i < cf->args->nelts; i++) {

        for (k = 0; table[k].name.len; k++) {
            if (ngx_strncmp(value[i].data, table[k].name.data,
                            table[k].name.len)
                == 0)
            {
                break;
            }
        }

        parameter = &table[k];

        if (parameter->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_ERROR;
        }

        if (seen & ((ngx_uint_t) 1 << k)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
            return NGX_ERROR;
        }

        seen |= (ngx_uint_t) 1 << k;

        n = ngx_http_async_upload_rules_value(parameter, &value[i]);

        if (n == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", it must be %s",
                               &value[i], parameter->allowed);
            return NGX_ERROR;
        }

        *(ngx_uint_t *) ((u_char *) rules + parameter->field) = n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_async_upload_rules_value(
    ngx_http_async_upload_rules_parameter_t *parameter, ngx_str_t *word)
{
    ngx_int_t  n;
    ngx_str_t  text;

    text.data = word->data + parameter->name.len;
    text.len = word->len - parameter->name.len;

    if (parameter->off && ngx_http_async_upload_rules_is(&text, "off")) {
        return 0;
    }

    switch (parameter->type) {

    case NGX_HTTP_ASYNC_UPLOAD_RULES_RATE:
        n = ngx_http_async_upload_parse_ppm(&text);
        break;

    case NGX_HTTP_ASYNC_UPLOAD_RULES_PERCENT:
        n = ngx_http_async_upload_parse_percent(&text);
        break;

    case NGX_HTTP_ASYNC_UPLOAD_RULES_TIME:
        n = ngx_parse_time(&text, 0);
        break;

    default:
        n = ngx_atoi(text.data, text.len);
    }

    return (n == NGX_ERROR || n < parameter->min || n > parameter->max)
           ? NGX_ERROR : n;
}


static ngx_uint_t
ngx_http_async_upload_rules_is(ngx_str_t *word, const char *expected)
{
    return word->len == ngx_strlen(expected)
           && ngx_strncmp(word->data, expected, word->len) == 0;
}


/* one of two words; sets the value and its source */

static char *
ngx_http_async_upload_rules_flag(ngx_conf_t *cf, ngx_str_t *names,
    const char *allowed, ngx_flag_t *value,
    ngx_http_async_upload_source_e *source)
{
    ngx_int_t   i;
    ngx_str_t  *word;

    if (*source == NGX_HTTP_ASYNC_UPLOAD_FROM_CONF) {
        return "is duplicate";
    }

    word = cf->args->elts;

    i = ngx_http_async_upload_name_find(names, 2, &word[1]);

    if (i == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", it must be %s",
                           &word[1], allowed);
        return NGX_CONF_ERROR;
    }

    *value = i;
    *source = NGX_HTTP_ASYNC_UPLOAD_FROM_CONF;

    return NGX_CONF_OK;
}
