"""The usual names of columns, by what they are taken for; the first of each list are the names that docs ask for.

They are matched whatever their case, blanks, hyphens and underscores (`tasks.read.tables.columns.column_key`). Their
order decides where a table has several. It was taken from what exports are headed with: BEIR, Anserini, LangChain,
Haystack, arXiv, Algolia, Stack Exchange, Zendesk, shops; Search Console, Analytics, Kibana, Splunk, AOL, MS MARCO, R.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.read.tables.columns import Role, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT_IDS = (
    *("p_id", "passage_id", "chunk_id", "doc_id", "doc_no", "corpus_id", "object_id", "uid", "uuid"),
    *("guid", "article_id", "page_id", "post_id", "product_id", "item_id", "sku", "asin", "isbn", "doi", "url", "uri"),
)
BODIES = (
    *("body", "content", "contents", "page_content", "passage", "passage_text", "full_text", "document_text"),
    *("doc_text", "main_text", "raw_text", "plain_text", "article", "article_text", "paragraph", "chunk"),
    *("body_text", "body_html", "body_markdown", "content_text", "text_content", "html", "markdown"),
    *("abstract", "description", "summary", "long_description", "product_description", "details", "answer"),
)
TITLES = ("name", "headline", "heading", "subject", "page_title", "doc_title", "product_title", "product_name")
LANGUAGES = ("lang", "language_code", "lang_code", "iso_language", "locale")
LOCAL_QUERIES = (
    # As Search Console heads them in the languages of its larger countries, and the plain words of site searches.
    *("Häufigste Suchanfragen", "Suchanfragen", "Suchanfrage", "Suchbegriff", "Suchbegriffe", "Suchwort"),
    *("Requêtes les plus fréquentes", "Requêtes", "Requête", "Mot clé", "Mots clés", "Terme de recherche"),
    *("Consultas principales", "Consultas más frecuentes", "Consultas", "Consulta", "Término de búsqueda", "Búsqueda"),
    *("Query più frequenti", "Query principali", "Termine di ricerca", "Ricerca", "Chiave di ricerca"),
    *("Principais consultas", "Consultas mais frequentes", "Termo de pesquisa", "Termo de busca", "Pesquisa", "Busca"),
    *("Populairste zoekopdrachten", "Meest voorkomende zoekopdrachten", "Zoekopdrachten", "Zoekopdracht", "Zoekterm"),
    *("Najpopularniejsze zapytania", "Najczęstsze zapytania", "Zapytania", "Zapytanie", "Wyszukiwane hasło"),
    *("Vanligaste sökfrågorna", "Populäraste frågorna", "Sökfråga", "Sökord", "Sökterm", "Søgeord", "Søkeord"),
    *("En çok yapılan sorgular", "Sorgular", "Sorgu", "Arama terimi", "Nejčastější dotazy", "Dotaz", "Hakutermi"),
    *("Популярные запросы", "Самые популярные запросы", "Запросы", "Запрос", "Поисковый запрос", "Популярні запити"),
    *(
        "上位のクエリ",
        "クエリ",
        "検索語",
        "検索キーワード",
        "キーワード",
        "热门查询",
        "查询",
        "搜索词",
        "搜索关键词",
        "關鍵字",
    ),
    *(
        "熱門查詢",
        "查詢",
        "인기 검색어",
        "검색어",
        "쿼리",
        "أهم طلبات البحث",
        "שאילתות נפוצות",
        "शीर्ष क्वेरी",
        "truy vấn hàng đầu",
    ),
)
LOCAL_COUNTS = (
    *("Anzahl", "Häufigkeit", "Suchen", "Suchvolumen", "Nombre", "Fréquence", "Volume de recherche", "Cantidad"),
    *("Frecuencia", "Número de búsquedas", "Conteggio", "Frequenza", "Frequência", "Contagem", "Aantal", "Liczba"),
    *("Antal", "Количество", "Частота", "回数", "検索回数", "次数", "搜索次数", "검색수", "횟수"),
)
LOCAL_IMPRESSIONS = (
    *("Impressionen", "Impresiones", "Impressioni", "Impressões", "Vertoningen", "Wyświetlenia", "Exponeringar"),
    *(
        "Visningar",
        "Visninger",
        "Gösterimler",
        "Показы",
        "Покази",
        "表示回数",
        "展示",
        "展示次数",
        "曝光",
        "노출",
        "노출수",
    ),
)
LOCAL_CLICKS = (
    *("Klicks", "Clics", "Clic", "Cliques", "Klikken", "Kliknięcia", "Klick", "Klik", "Tıklamalar", "Клики", "Кліки"),
    *("クリック数", "点击次数", "点击", "點擊", "클릭수"),
)
QUERY_TEXTS = (
    *("search_query", "search_term", "search_terms", "searched_term", "query_text", "query_string", "raw_query"),
    *("user_query", "original_query", "query_term", "search_text", "search_string", "search_phrase", "search_keyword"),
    *("search_keywords", "top_queries", "top_query", "queries", "q", "search", "searches_for", "keyword", "keywords"),
    *("keyphrase", "term", "terms", "phrase", "question", "utterance", "key", *LOCAL_QUERIES),
)
COUNTS = (
    *("searches", "search_count", "query_count", "total_searches", "number_of_searches", "num_searches"),
    *("total_unique_searches", "unique_searches", "event_count", "count_of_records", "record_count", "doc_count"),
    *("occurrences", "cnt", "n", "num", "freq", "frequency", "search_volume", "avg_monthly_searches", "volume"),
    *(*LOCAL_COUNTS, "hits", "impressions", *LOCAL_IMPRESSIONS, "clicks", *LOCAL_CLICKS),
)
TIMES = (
    *("@timestamp", "time", "ts", "datetime", "date_time", "query_time", "search_time", "event_time", "_time"),
    *("event_timestamp", "created_at", "searched_at", "logged_at", "date", "day", "event_date", "search_date"),
)
USERS = (
    *("anon_id", "visitor_id", "visitor", "client_id", "customer_id", "account_id", "uid", "user_name", "login"),
    *("member_id", "device_id", "cookie_id", "distinct_id", "user_pseudo_id", "full_visitor_id", "anonymous_id"),
)

DOCUMENTS = Vocabulary(
    part="documents",
    section="[documents]",
    roles=(
        Role("id", ("_id", "document_id", "id"), DOCUMENT_IDS),
        Role("title", ("title",), TITLES),
        Role("text", ("text",), BODIES),
        Role("metadata", ("metadata",), ()),
        Role("language", ("language",), LANGUAGES),
    ),
    required=(("id",), ("title", "text")),
)
QUERIES = Vocabulary(
    part="queries",
    section="[queries]",
    roles=(
        Role("query", ("query", "text"), QUERY_TEXTS),
        Role("query_id", ("_id", "query_id", "id"), ("qid", "topic_id")),
        Role("count", ("count",), COUNTS),
        Role("timestamp", ("timestamp",), TIMES),
        Role("user", ("user", "user_id"), USERS),
        Role("session", ("session", "session_id"), ("visit_id", "ga_session_id", "jsession_id")),
        Role("user_agent", ("user_agent",), ("http_user_agent",)),
        Role("clicked", ("clicked",), ()),
        Role("filter", ("filter",), ()),
        Role("segment", ("segment",), ()),
        Role("impression", ("impression",), ()),
        Role("rank", ("rank",), ()),
        Role("shown", ("shown",), ()),
    ),
    required=(("query",),),
)
JUDGMENTS = Vocabulary(
    part="judgments",
    section="[judgments]",
    roles=(
        Role("query_id", ("query-id",), ("q_id", "topic_id", "query", "topic")),
        Role(
            "document_id",
            ("corpus-id",),
            ("document_id", "doc_id", "doc_no", "p_id", "passage_id", "d_id", "document", "doc", "passage"),
        ),
        Role(
            "grade",
            ("score",),
            ("grade", "relevance", "relevance_grade", "rel", "label", "relevancy", "judgment", "judgement", "rating"),
        ),
        Role("judged_by", ("judged-by",), ()),
    ),
    required=(("query_id",), ("document_id",), ("grade",)),
)
DROP_LIST = Vocabulary(
    part="queries",
    section="[queries]",
    roles=(
        Role("query", ("query",), ("text", *QUERY_TEXTS)),
        Role("user", ("user", "user_id"), USERS),
    ),
    required=(("query", "user"),),
)


def listed(names: Sequence[str]) -> str:
    """Names as a message lists alternatives.

    >>> listed(("_id", "document_id", "id"))
    '_id or document_id or id'
    """
    return " or ".join(names)
