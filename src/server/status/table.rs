//! Tables of the page. Each cell knows its column, so that a narrow screen can show the rows one below the other.

use std::slice::Iter;

use super::html::Html;

/// A table with its heading.
pub(super) struct Table {
    /// Its name in the page.
    pub(super) id: &'static str,
    /// What stands above it.
    pub(super) title: &'static str,
    /// What its rows are, and in which order.
    pub(super) caption: &'static str,
    /// What its cells are.
    pub(super) columns: &'static [&'static str],
    /// What stands there when it has no rows.
    pub(super) empty: &'static str,
}

/// A row that is being written, cell after cell.
pub(super) struct Row<'a> {
    html: &'a mut Html,
    columns: Iter<'static, &'static str>,
}

impl Table {
    /// Adds it to a page, with a row for each of `items`; and below it how many more there are, and that they are `more`.
    pub(super) fn write<T>(
        &self,
        html: &mut Html,
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut Row<'_>, T),
        (left_out, more): (usize, &'static str),
    ) {
        html.raw("<section aria-labelledby=\"")
            .raw(self.id)
            .raw("\"><h2 id=\"")
            .raw(self.id)
            .raw("\">")
            .raw(self.title);
        html.raw("</h2>");
        let mut items = items.peekable();
        if items.peek().is_none() {
            html.raw("<p class=\"quiet\">").raw(self.empty).raw("</p></section>");
            return;
        }
        // Whoever has no mouse scrolls what is wider than the screen.
        html.raw("<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-labelledby=\"").raw(self.id);
        html.raw("\"><table role=\"table\"><caption>").raw(self.caption).raw("</caption><thead><tr role=\"row\">");
        for column in self.columns {
            html.raw("<th scope=\"col\" role=\"columnheader\">").raw(column).raw("</th>");
        }
        html.raw("</tr></thead><tbody>");
        for item in items {
            html.raw("<tr role=\"row\">");
            write(&mut Row { html, columns: self.columns.iter() }, item);
            html.raw("</tr>");
        }
        html.raw("</tbody></table></div>");
        if left_out > 0 {
            html.raw("<p class=\"quiet\">").number(left_out).raw(" ").raw(more).raw("</p>");
        }
        html.raw("</section>");
    }
}

impl Row<'_> {
    /// Adds what the row is about.
    pub(super) fn head(&mut self, write: impl FnOnce(&mut Html)) -> &mut Self {
        self.add("<th scope=\"row\" role=\"rowheader\" data-column=\"", write, "</th>")
    }

    /// Adds a cell.
    pub(super) fn cell(&mut self, write: impl FnOnce(&mut Html)) -> &mut Self {
        self.add("<td role=\"cell\" data-column=\"", write, "</td>")
    }

    fn add(&mut self, open: &'static str, write: impl FnOnce(&mut Html), close: &'static str) -> &mut Self {
        let column = self.columns.next().copied().unwrap_or_default();
        self.html.raw(open).raw(column).raw("\"><div>");
        write(self.html);
        self.html.raw("</div>").raw(close);
        self
    }
}
