"""``python -m local.settings_page``: writes the page anew."""

from local.settings_page.page import PAGE, page

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
