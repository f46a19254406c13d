() => {
    "use strict";
    const WRITTEN_IN =
        "textarea, select, [contenteditable=true], " +
        "input:not([type=range], [type=radio], [type=checkbox], [type=button], [type=file])";
    const BRUSH_STEP = 4;
    const STAYS_OPEN_MS = 900;
    const sheet = () => document.getElementById("keys");
    const seen = (element) => Boolean(element && element.offsetParent !== null);
    const editor = () => [...document.querySelectorAll(".image-editor-keys")].find(seen);
    let closing = 0;

    // The toolbar's labels are translated, its order is not: undo and redo come first behind the line.
    const step = (place) => {
        const button = editor()?.querySelectorAll(".separator ~ button")[place];
        if (button && !button.disabled) button.click();
        return Boolean(button);
    };

    // The editor listens for a press elsewhere to close its menu.
    const closeMenu = () => document.body.dispatchEvent(new MouseEvent("mousedown", { bubbles: true }));

    const sizeSlider = () => editor()?.querySelector(".half-container input[type=range]");

    const openMenu = () => {
        const tools = editor()?.querySelectorAll(".half-container.right > button");
        tools?.[tools.length - 1]?.click();
    };

    const resize = (by) => {
        const slider = sizeSlider();
        if (!slider) return;
        slider.value = String(Number(slider.value) + by);
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        clearTimeout(closing);
        closing = setTimeout(closeMenu, STAYS_OPEN_MS);
    };

    const resizeBrush = (by) => {
        if (!editor()) return false;
        if (sizeSlider()) {
            resize(by);
        } else {
            openMenu();
            setTimeout(() => resize(by), 50);
        }
        return true;
    };

    const showOriginal = (on) => {
        document.body.classList.toggle("show-original", on);
        return true;
    };

    const openSheet = () => {
        if (!sheet().open) sheet().showModal();
        return true;
    };

    const run = () => {
        const button = [...document.querySelectorAll("button.go")].find(seen);
        button?.click();
        return Boolean(button);
    };

    const withControl = (event) => {
        const key = event.key.toLowerCase();
        if (key === "z") return step(event.shiftKey ? 1 : 0);
        if (key === "y") return step(1);
        return key === "enter" && run();
    };

    const plain = (event) => {
        switch (event.key) {
            case "[": return resizeBrush(-BRUSH_STEP);
            case "]": return resizeBrush(BRUSH_STEP);
            case "b": case "B": return showOriginal(true);
            case "?": return openSheet();
            default: return false;
        }
    };

    const held = (target) => target.closest?.(".hold");

    const pressed = (event) => {
        if (event.defaultPrevented || event.target.closest?.(WRITTEN_IN) || sheet()?.open) return;
        if (held(event.target) && (event.key === " " || event.key === "Enter")) showOriginal(true);
        // Many keyboards reach the brackets by AltGr, which some systems report as Ctrl and Alt.
        const alternate = event.getModifierState("AltGraph");
        if (event.altKey && !alternate) return;
        const control = !alternate && (event.ctrlKey || event.metaKey);
        if (control ? withControl(event) : plain(event)) event.preventDefault();
    };

    document.addEventListener("keydown", pressed);
    document.addEventListener("pointerdown", (event) => held(event.target) && showOriginal(true));
    document.addEventListener("contextmenu", (event) => held(event.target) && event.preventDefault());
    for (const end of ["keyup", "pointerup", "pointercancel"])
        document.addEventListener(end, () => showOriginal(false));
    window.addEventListener("blur", () => showOriginal(false));
    document.addEventListener("click", (event) => event.target.closest?.("#keys-open") && openSheet());
}
