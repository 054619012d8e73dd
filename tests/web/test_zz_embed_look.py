def test_look(person, site, tmp_path):
    user = person()
    user.select(f"plate-{site.plate.plate}")
    dialog = user.open_dialog("Embed Plate") if user.open_menu() else None
    dialog.choose("As_Model", f"{site.model} nuclei (")
    user.picture("embed-dialog")
    dialog.run()
    said = user.activity()
    user.picture("embed-success")
    print(said)
    assert said.succeeded, said
    user.select(f"plate-{site.plate.plate}")
    user.open_panes()
    user.picture("embed-results")
    print(user.right_panel())
